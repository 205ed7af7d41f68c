import { MockActivityEnvironment } from '@temporalio/testing';
import { createProbes, type Probed, type ProbeOrder } from '../../../activities/llm/probes';
import type { FailureKind } from '../../../domain/llm/failures';
import { subjectIn } from '../../../domain/llm/health';
import type { Knex } from '../../../lib/db';
import { createLogger } from '../../../lib/logger';
import { acrossTenants } from '../../../models/base';
import { applyHealth, type AppliedPool } from '../../../models/llm/health';
import { createLlmProviders } from '../../../providers/llm';
import { startSandbox, type Sandbox } from '../../../sandbox';
import { testSealing } from '../../support/accounts';
import { createTestDatabase } from '../../support/postgres';
import { insertTenant } from '../../support/records';
import {
  insertModels,
  takeAccount,
  vendorAccounts,
  type TestAccount,
} from '../../workflows/llm/ground';

type Probes = ReturnType<typeof createProbes>;

export type Prepared = TestAccount & { tenantId: string };

/** A vendor of models, and who asks it as activities do. */
export interface ProbeGround {
  admin: Knex;
  /** As the application signs in. */
  app: Knex;
  sandbox: Sandbox;
  /** What was told of what was written. */
  news: AppliedPool[];
  /** An account of a new tenant's own pool, unless the tenant is named. */
  prepare(options?: { hasManagementKey?: boolean; tenantId?: string }): Promise<Prepared>;
  run(ask: (probes: Probes) => Promise<Probed>): Promise<Probed>;
  stop(): Promise<void>;
}

export async function startProbeGround(): Promise<ProbeGround> {
  const logger = createLogger({ name: 'test', level: 'fatal' });
  const llmProviders = createLlmProviders({ onlyPublic: false });
  const [database, sandbox] = await Promise.all([
    createTestDatabase(),
    startSandbox({ port: 0, logger, openRouterAccounts: vendorAccounts }),
  ]);
  const admin = database.db;
  await insertModels(admin);
  const news: AppliedPool[] = [];
  return {
    admin,
    app: database.app,
    sandbox,
    news,
    async prepare(options = {}) {
      const tenantId = options.tenantId ?? (await insertTenant(admin));
      return { ...(await takeAccount({ admin, sandbox }, { ...options, tenantId })), tenantId };
    },
    run(ask) {
      const probes = createProbes({
        db: database.app,
        sealing: testSealing,
        llmProviders,
        healthNews: (pools) => news.push(...pools),
        logger,
      });
      const work = () => ask(probes);
      return new MockActivityEnvironment().run<[], Probed, typeof work>(work);
    },
    async stop() {
      await Promise.all(Object.values(llmProviders).map((vendor) => vendor.close()));
      await sandbox.close();
      await database.drop();
    },
  };
}

export const orderOf = (account: Prepared, order: Partial<ProbeOrder> = {}): ProbeOrder => ({
  accountId: account.accountId,
  tenantId: account.tenantId,
  keyId: account.keyIds[0] ?? '',
  scope: 'account',
  model: null,
  ...order,
});

/** A call failed a second ago with the account's first key. */
export async function bench(
  { app }: Pick<ProbeGround, 'app'>,
  account: Prepared,
  kind: FailureKind,
  more: { scope?: 'account' | 'key'; retryAfterMs?: number | null } = {},
): Promise<void> {
  const { scope = 'account', retryAfterMs = null } = more;
  const keyId = account.keyIds[0] ?? '';
  await acrossTenants(app, 'llmRing', (trx) =>
    applyHealth(trx, [
      {
        type: 'failed',
        kind,
        subject: subjectIn(scope, { accountId: account.accountId, keyId, model: '' }),
        actor: { kind: 'call', id: null },
        at: Date.now() - 1_000,
        retryAfterMs,
        resetsAt: null,
        evidence: { status: 429 },
        poolId: account.tenantId,
      },
    ]),
  );
}
