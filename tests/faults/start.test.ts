import { readdirSync } from 'node:fs';
import path from 'node:path';
import { writeCampaign, type FiredCampaign } from '../../bench/chaos/campaign';
import { setSandboxFaults } from '../../bench/chaos/sandboxFigures';
import { untilEnded } from '../../bench/chaos/storm';
import { readJournal, tally } from '../../bench/chaos/tally';
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
import { until } from '../support/conditions';
import { ask, dispatchStates, timings, untilAccepted } from './support';

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

  const killedAt = new Date();
  await start();
  await settleByJournal(reach, campaign, killedAt);
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

/**
 * What an operator does in the end: a call that was on its way when both ends of it died is held as a
 * doubt, and nobody but the provider's records can tell what became of it.
 */
async function settleByJournal(
  reach: Parameters<typeof ask>[0] & { journalFile: string },
  campaign: FiredCampaign,
  killedAt: Date,
): Promise<void> {
  const { tenantId, run } = campaign;
  await until(
    'nothing but doubts to be left',
    async () => {
      const { accepted, in_doubt: doubts, ...others } = await dispatchStates(reach, campaign);
      return Object.keys(others).length === 0 && { accepted, doubts };
    },
    150_000,
  );
  const received = await readJournal(reach.journalFile, run.id);
  const doubts: { n: number; emails: string[] }[] = await reach
    .db('dispatches as d')
    .join('messages as m', { 'm.run_id': 'd.run_id', 'm.dispatch_n': 'd.n' })
    .join('customers as c', 'c.id', 'm.customer_id')
    .where({ 'd.tenant_id': tenantId, 'd.run_id': run.id, 'd.state': 'in_doubt' })
    // Those of later are proven by events.
    .where('d.called_at', '<', killedAt)
    .groupBy('d.n')
    .select('d.n', reach.db.raw('array_agg(c.email) as emails'));
  for (const { n, emails } of doubts) {
    await ask(reach, campaign, `doubts/${n}/settle`, {
      as: emails.some((email) => received.has(email)) ? 'accepted' : 'notSent',
      reason: 'by the journal of the provider',
    });
  }
}

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
