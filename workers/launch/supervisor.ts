import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import path from 'node:path';
import { createDatabase } from '../../lib/db';
import { migrate, migrationSource } from '../../migrations';
import { buildBundle } from './buildBundle';
import { ensureDatabase, postgresUrl, adminRole, type PostgresPlace } from './embeddedPostgres';
import { ensureAppLogin } from './appLogin';
import type { Output } from './output';
import { Part, type PartOrder } from './part';
import {
  apiPart,
  codecPart,
  codecUrl,
  postgresPart,
  sandboxPart,
  temporalPart,
  transactionalPart,
  workerPart,
  type Addresses,
} from './parts';
import type { Plan } from './plan';
import type { Secrets } from './secrets';
import { freePort } from './ports';
import { prepareNamespace } from './temporalAccess';
import { findTemporalProgram } from './temporalProgram';
import { serveTemporalUi } from './temporalUi';

const database = 'carillon';
const stopDeadlineMs = 9500;

/** Starts every part in order, keeps them running, and stops them in the opposite order. */
export class Supervisor {
  private readonly servers: { postgres?: Part; temporal?: Part } = {};
  private sandbox: Part | undefined;
  private api: Part | undefined;
  private codec: Part | undefined;
  private ui: Server | undefined;
  private workers: Part[] = [];
  private addresses: Addresses | undefined;
  private isStopping = false;

  constructor(
    private readonly plan: Plan,
    private readonly secrets: Secrets,
    private readonly output: Output,
  ) {}

  /** Resolves when every part is ready; rejects with what to do when one does not get there. */
  async start(): Promise<Addresses> {
    const bundleFile = path.join(this.plan.dataDir, 'workflow-bundle.js');
    // The server that has to be fetched or built is the slow one: nothing waits for it before it must.
    const [databaseUrl, temporalAddress] = await Promise.all([
      this.startDatabase(),
      this.startTemporal(),
      buildBundle(bundleFile, this.output),
      this.startSandbox(),
    ]);
    const addresses = { databaseUrl, temporalAddress, bundleFile };
    this.addresses = addresses;

    const { plan, secrets } = this;
    this.api = this.part(apiPart(plan, secrets, addresses));
    this.codec = this.part(codecPart(plan, secrets, addresses));
    this.workers = [
      ...plan.ports.workers.map((_, index) => workerPart(plan, secrets, addresses, index)),
      transactionalPart(plan, secrets, addresses),
    ].map((order) => this.part(order));
    await Promise.all([this.api, this.codec, ...this.workers].map((part) => part.start()));
    return addresses;
  }

  /**
   * Workers first, so that they settle what they are calling, then what they lean on. Everything is
   * gone within 10 s: a part that does not end in its time is killed.
   */
  async stop(): Promise<void> {
    this.isStopping = true;
    const deadline = setTimeout(() => this.kill(), stopDeadlineMs);
    await Promise.all(this.workers.map((worker) => worker.stop(6000)));
    await Promise.all([this.api?.stop(1500), this.codec?.stop(1500)]);
    this.ui?.close();
    this.ui?.closeAllConnections();
    await this.sandbox?.stop(500);
    await Promise.all([this.servers.temporal?.stop(1500), this.servers.postgres?.stop(1500)]);
    clearTimeout(deadline);
  }

  /** Ends every process without asking. */
  kill(): void {
    const { postgres, temporal } = this.servers;
    for (const part of [...this.workers, this.api, this.codec, this.sandbox, temporal, postgres]) {
      part?.kill();
    }
  }

  /** Loads changed sources: a new bundle, then the API and the workers again. */
  async reload(): Promise<void> {
    if (this.addresses === undefined) {
      return;
    }
    try {
      await buildBundle(this.addresses.bundleFile, this.output);
    } catch (error) {
      // The old code goes on; the next change tries again.
      this.output.say('start', error instanceof Error ? error.message : String(error), 'error');
      return;
    }
    this.api?.recycle();
    this.codec?.recycle();
    for (const worker of this.workers) {
      worker.recycle();
    }
  }

  private async startDatabase(): Promise<string> {
    const { plan, secrets } = this;
    if (plan.databaseUrl !== undefined) {
      await this.migrate(plan.config.MIGRATION_DATABASE_URL ?? plan.databaseUrl, {
        isOurs: false,
      });
      return plan.databaseUrl;
    }
    const place: PostgresPlace = {
      dir: path.join(plan.dataDir, 'postgres'),
      port: plan.ports.postgres,
      adminPassword: secrets.postgresAdminPassword,
    };
    const { port } = place;
    this.servers.postgres = this.part(postgresPart(place));
    await this.servers.postgres.start();
    const adminUrl = postgresUrl({
      port,
      role: adminRole,
      password: secrets.postgresAdminPassword,
      database: 'postgres',
    });
    const owner = { role: database, password: secrets.postgresPassword };
    const app = { role: `${database}_app`, password: secrets.postgresAppPassword };
    await ensureDatabase({ adminUrl, ...owner, database });
    await ensureAppLogin(adminUrl, app);
    await this.migrate(postgresUrl({ port, ...owner, database }), { isOurs: true });
    return postgresUrl({ port, ...app, database });
  }

  private async migrate(url: string, { isOurs }: { isOurs: boolean }): Promise<void> {
    const db = createDatabase({ url, applicationName: 'carillon-migrate', poolMax: 2 });
    try {
      if (isOurs) {
        // Nobody else migrates our own server: a lock found here was left by a killed run.
        await db.migrate.forceFreeMigrationsLock({ migrationSource });
      }
      const names = await migrate(db);
      if (names.length > 0) {
        this.output.say('start', `schema migrated: ${names.join(', ')}`);
      }
    } catch (error) {
      throw new Error(
        `The database schema could not be brought up to date: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
    } finally {
      await db.destroy();
    }
  }

  private async startTemporal(): Promise<string> {
    const { plan, output } = this;
    const namespace = plan.config.TEMPORAL_NAMESPACE;
    if (plan.temporalAddress === undefined) {
      const program = await findTemporalProgram({
        givenPath: plan.config.TEMPORAL_CLI_PATH,
        cacheDir: plan.config.CARILLON_CACHE_DIR,
        onProgress: (text) => output.say('temporal', text),
      });
      const uiPort = await freePort();
      const dir = path.join(plan.dataDir, 'temporal');
      mkdirSync(dir, { recursive: true });
      this.servers.temporal = this.part(
        temporalPart({
          program,
          port: plan.ports.temporal,
          uiPort,
          codecEndpoint: `${codecUrl(plan)}/codec`,
          namespace,
          dbFile: path.join(dir, 'temporal.db'),
          pidFile: path.join(dir, 'temporal.pid'),
        }),
      );
      await this.servers.temporal.start();
      this.ui = await serveTemporalUi({
        port: plan.ports.temporalUi,
        upstreamPort: uiPort,
        codecUrl: codecUrl(plan),
      });
    }
    const address = plan.temporalAddress ?? `127.0.0.1:${plan.ports.temporal}`;
    const isOurs = plan.temporalAddress === undefined;
    await prepareNamespace({
      address,
      TEMPORAL_NAMESPACE: namespace,
      TEMPORAL_TLS: isOurs ? false : plan.config.TEMPORAL_TLS,
      TEMPORAL_API_KEY: isOurs ? undefined : plan.config.TEMPORAL_API_KEY,
    });
    return address;
  }

  private async startSandbox(): Promise<void> {
    if (this.plan.hasSandbox) {
      this.sandbox = this.part(sandboxPart(this.plan, this.secrets));
      await this.sandbox.start();
    }
  }

  private part(order: PartOrder): Part {
    if (this.isStopping) {
      throw new Error('Carillon was stopped while it started');
    }
    return new Part(order, this.output);
  }
}
