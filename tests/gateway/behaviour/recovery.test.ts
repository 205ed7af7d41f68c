import type { Llm } from '../../../gateway';
import { startCampaignGround, type CampaignGround } from '../../support/campaignGround';
import { until } from '../../support/conditions';
import {
  knows,
  openLlmGroundOn,
  shown,
  told,
  type LlmGround,
  type LlmTenant,
} from '../../support/llmGround';

// What comes back by its keyring: a real one, in a real worker.
let worker: CampaignGround;
let ground: LlmGround;
let llm: Llm;
let tenant: LlmTenant;

beforeAll(async () => {
  worker = await startCampaignGround();
  await worker.startWorker();
  ground = await openLlmGroundOn({
    sandbox: worker.sandbox,
    database: { db: worker.db, app: worker.deps.db },
    tell: worker.keyrings,
  });
});

afterAll(async () => {
  await ground.close();
  await worker.stop();
});

beforeEach(async () => {
  await fetch(`${ground.sandbox.url}/api/openrouter/reset`, { method: 'POST' });
  await ground.faults();
  tenant = await ground.tenant();
  llm = await ground.process();
  await knows(llm, tenant);
  await worker.keyrings.ensure(['north', 'south'].map(accountOf));
  await until('keyrings have looked', async () => {
    const rows = await worker.db('llm_keys').where({ tenant_id: tenant.id });
    return rows.every(({ limits_at: at }) => at !== null);
  });
});

const accountOf = (name: string) => ({
  accountId: tenant.ids[name] ?? '',
  tenantId: tenant.id,
  name,
  keys: 3,
});

const chat = () => told(llm.gateway.chat(tenant.ask({ priority: 'bulk' })));

/** Asks, always served, until the key has failed or served again. */
async function askUntil(key: string, status: number): Promise<void> {
  const from = (await tenant.calls()).length;
  await until(
    `${key} answers ${status}`,
    async () => {
      expect(await chat()).toMatchObject({ hasText: true });
      const calls = (await tenant.calls()).slice(from);
      return calls.some((call) => call.key === key && call.status === status);
    },
    40_000,
  );
}

function healthOf(name: string) {
  return until('it is written', async () => {
    await llm.ring.flush();
    return (await tenant.health())[name];
  });
}

async function untilWell(): Promise<void> {
  await until('all is well', async () => Object.keys(await tenant.health()).length === 0, 60_000);
}

/** A person has the key or its account looked at now, as the keyring does by itself within minutes. */
async function probe(account: string, key: string): Promise<void> {
  await worker.keyrings.steer('probe', accountOf(account), {
    keyId: tenant.ids[key] ?? '',
  });
}

async function vendor(path: string, change: object): Promise<void> {
  const answer = await fetch(`${ground.sandbox.url}/api/openrouter/${path}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(change),
  });
  expect(answer.status).toBe(200);
}

test('401 authentication: a revoked key is suspended once the vendor confirms it, and comes back', async () => {
  await vendor('keys/north-1', { isRevoked: true });
  await until('somebody was refused', async () => {
    expect(await chat()).toMatchObject({ hasText: true });
    await llm.ring.flush();
    return (await tenant.health())['key north-1'];
  });
  await until(
    'it is suspended',
    async () => (await healthOf('key north-1'))?.state === 'suspended',
  );
  await vendor('keys/north-1', { isRevoked: false });
  await probe('north', 'north-1');
  await untilWell();
  await askUntil('north-1', 200);
});

test('401 authentication: a key that the vendor knows all the same only cools', async () => {
  await ground.faults({ fault: 'unauthorized', key: 'south-2', count: 1, paths: ['chat'] });
  await askUntil('south-2', 401);
  await until('it was looked at', async () => {
    const [row] = await worker.db('llm_health').where({ tenant_id: tenant.id });
    return row === undefined || row.evidence.verify !== true;
  });
  expect((await tenant.health())['key south-2']?.state).not.toBe('suspended');
  await ground.pass(llm, tenant);
  await askUntil('south-2', 200);
  await llm.ring.flush();
  await untilWell();
});

test('402 openrouter_credits: an account that is out of credit comes back when it was paid', async () => {
  await vendor('accounts/north', { creditMicros: 0 });
  await until('somebody was refused', async () => {
    expect(await chat()).toMatchObject({ hasText: true });
    return (await tenant.calls()).some(({ status }) => status === 402);
  });
  expect(await healthOf('account north')).toMatchObject({ state: 'suspended', reason: 'credits' });
  expect(shown(await tenant.calls()).filter((call) => call.endsWith(' 402'))).toHaveLength(1);
  await probe('north', 'north-1');
  expect(await healthOf('account north')).toMatchObject({ state: 'suspended' });
  await vendor('accounts/north', { creditMicros: 20_000_000 });
  await probe('north', 'north-1');
  await untilWell();
  await askUntil('north-2', 200);
});

test('402 openrouter_key_limit: the key is suspended until its limit comes back, or is raised', async () => {
  await vendor('keys/south-1', { limitMicros: 0, limitReset: 'daily' });
  await askUntil('south-1', 402);
  const midnight = new Date();
  midnight.setUTCHours(24, 0, 0, 0);
  await until('its reset is known', async () => {
    const row = await healthOf('key south-1');
    return row?.until?.getTime() === midnight.getTime();
  });
  await vendor('keys/south-1', { limitMicros: 5_000_000, limitReset: 'daily' });
  await probe('south', 'south-1');
  await untilWell();
  expect(await tenant.health()).toEqual({});
  await askUntil('south-1', 200);
});

test('403 budget exceeded: the key comes back by itself when the budget resets', async () => {
  await ground.faults({ fault: 'keyBudget', key: 'north-3', forMs: 4_000 });
  await askUntil('north-3', 403);
  expect(await healthOf('key north-3')).toMatchObject({
    state: 'suspended',
    reason: 'budgetSpent',
  });
  await untilWell();
  await askUntil('north-3', 200);
});

test('all limited for longer than is true: it is found out that it is over', async () => {
  await ground.faults({
    fault: 'platformRateLimit',
    forMs: 3_000,
    retryAfterSeconds: 600,
    resetsInSeconds: 600,
  });
  expect(await told(llm.gateway.chat(tenant.ask()))).toMatchObject({ code: 'llmUnavailable' });
  await until('somebody is served', async () => {
    const got = await told(llm.gateway.chat(tenant.ask()));
    return Object.hasOwn(got, 'hasText');
  });
});
