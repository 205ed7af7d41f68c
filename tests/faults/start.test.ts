import { readdirSync } from 'node:fs';
import path from 'node:path';
import { writeCampaign, type FiredCampaign } from '../../bench/chaos/campaign';
import { setSandboxFaults } from '../../bench/chaos/sandboxFigures';
import { untilEnded } from '../../bench/chaos/storm';
import { tally } from '../../bench/chaos/tally';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { accessTokensOf } from '../../models/identity/signingKeys';
import { createDatabase, type Knex } from '../../lib/db';
import { isAlive, parentOf } from '../../lib/processes';
import { adminRole, postgresUrl } from '../../workers/launch/embeddedPostgres';
import { loadSecrets } from '../../workers/launch/secrets';
import {
  endFor,
  freePorts,
  portsStillTaken,
  startCarillon,
  type StartedCarillon,
} from '../launch/carillon';
import { temporaryFolder } from '../support/ground';
import { ask, timings, untilAccepted } from './support';

jest.setTimeout(240_000);

let carillon: StartedCarillon | undefined;
let db: Knex | undefined;

afterAll(async () => {
  await db?.destroy();
  await endFor(carillon);
});

test('a campaign survives its supervisor being killed, and then everything at once', async () => {
  const dataDir = path.join(temporaryFolder('carillon'), 'data');
  const ports = await freePorts();
  const environment = {
    DISPATCH_LEASE_MS: String(timings.leaseMs),
    PROVIDER_TIMEOUT_MS: String(timings.providerTimeoutMs),
    SLICE_MS: String(timings.sliceMs),
    TEMPORAL_ADDRESS: '',
  };
  const start = async () => {
    carillon = startCarillon({ dataDir, ports, args: ['--no-demo'], environment });
    await carillon.ready();
    await setSandboxFaults(ground.sandboxUrl, { latencyMs: 400 });
    return carillon;
  };
  const ground = {
    apiUrl: `http://127.0.0.1:${ports.API_PORT}`,
    sandboxUrl: `http://127.0.0.1:${ports.SANDBOX_PORT}`,
    journalFile: path.join(dataDir, 'sandbox', 'requests.jsonl'),
  };
  const first = await start();
  const secrets = loadSecrets(dataDir);
  const ledger = createDatabase({
    url: postgresUrl({
      port: ports.POSTGRES_PORT,
      role: adminRole,
      password: secrets.postgresAdminPassword,
      database: 'carillon',
    }),
    applicationName: 'carillon-observer',
  });
  db = ledger;
  const accessTokens = accessTokensOf(ledger, createSealing(parseSealingKeys(secrets.sealingKeys)));
  await accessTokens.reload();
  const reach = { ...ground, db: ledger, accessTokens };
  const customers = 2_000;
  const written = await writeCampaign(reach, customers, { zoneCount: 200 });
  await ask(reach, written, 'schedule', { schedule: { kind: 'now' } });
  const [run] = await ledger('campaign_runs').where({ campaign_id: written.campaignId });
  const campaign: FiredCampaign = { ...written, customers, run };

  await untilAccepted(reach, campaign, 20);
  process.kill(first.pid, 'SIGKILL');
  expect(await portsStillTaken(ports, 10_000)).toEqual([]);

  const second = await start();
  await untilAccepted(reach, campaign, 60);
  const everything = await withDescendants(second.pid);
  expect(everything.length).toBeGreaterThan(5);
  everything.forEach(kill9);
  expect(await portsStillTaken(ports, 10_000)).toEqual([]);
  expect(everything.filter(isAlive)).toEqual([]);

  await start();
  expect(await untilEnded(reach, campaign, Date.now() + 150_000)).toBe('completed');
  // People go on opening for minutes, so only what was sent stands still.
  const { sent, lost, duplicated, inDoubtOpen } = await tally(reach, campaign);
  expect({ sent, lost, duplicated, inDoubtOpen }).toEqual({
    sent: customers,
    lost: 0,
    duplicated: 0,
    inDoubtOpen: 0,
  });
});

function kill9(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It ended with the one killed before it.
    if (isAlive(pid)) {
      throw error;
    }
  }
}

/** The process and all that it has started, and what those have. */
async function withDescendants(pid: number): Promise<number[]> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map<number, number | undefined>();
  for (const name of pids) {
    parents.set(Number(name), await parentOf(Number(name)));
  }
  const found = [pid];
  for (const member of found) {
    found.push(...[...parents].filter(([, parent]) => parent === member).map(([child]) => child));
  }
  return found;
}
