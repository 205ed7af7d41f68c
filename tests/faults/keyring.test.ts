import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startProcessGround, type ProcessGround } from '../../bench/chaos/ground';
import { bringBack } from '../../bench/chaos/storm';
import { subjectIn } from '../../domain/llm/health';
import { acrossTenants } from '../../models/base';
import { applyHealth } from '../../models/llm/health';
import { platformPool } from '../../domain/llm/types';
import { DEMO_OPENROUTER_ACCOUNTS } from '../../sandbox/openrouter/accounts';
import type { OpenRouterCall } from '../../sandbox/openrouter/calls';
import { keyringWorkflowId } from '../../workflows/llm/messages';
import { testSealing } from '../support/accounts';
import { until } from '../support/conditions';
import { insertLlmAccount, insertLlmKey } from '../support/llm';
import { insertTenant } from '../support/records';
import { tokenFor } from '../support/tokens';
import { insertModels } from '../workflows/llm/ground';
import { timings } from './support';

jest.setTimeout(240_000);

const [north, south] = DEMO_OPENROUTER_ACCOUNTS;
// Beside the three that the sandbox has: one for each way in which a key is not used.
const others = ['refused', 'spent', 'paused', 'revoked'] as const;
const secretOf = (label: string) => `sk-or-v1-${label.padEnd(60, 'f')}`;
// Longer than all that is killed takes.
const coolsForMs = 10 * 60_000;
const said = { 'north-1': 'active', 'north-3': 'draining', paused: 'paused', revoked: 'revoked' };

let ground: ProcessGround;
let token: string;
let northId: string;
let southId: string;
let traffic: Traffic;
const ids = new Map<string, string>();
const idOf = (label: string) => ids.get(label) ?? '';

beforeAll(async () => {
  ground = await startProcessGround({
    ...timings,
    workers: 1,
    restartAfterMs: 200,
    sealingKeys: `${testSealing.keyId}:${Buffer.alloc(32, 7).toString('base64')}`,
    environment: { LOG_LEVEL: 'info' },
  });
  const tenantId = await insertTenant(ground.db);
  token = await tokenFor(ground, tenantId);
  await insertModels(ground.db);
  for (const label of others) {
    await tellVendor('POST', 'accounts/north/keys', { secret: secretOf(label), label });
  }
  northId = await addAccount(north, [...(north?.keys ?? []), ...others.map(ofVendor)]);
  southId = await addAccount(south, south?.keys ?? []);
  traffic = keepAsking();
});

afterAll(async () => {
  await traffic.stop();
  await ground.stop();
});

// One story: every kind of key, and everything killed while they stand so.
test('keys get into every state by what their vendor and people say', async () => {
  // The reconciler starts the keyrings of accounts that were added behind everybody's back.
  await until('both keyrings', async () => (await runIds()).every((runId) => runId !== ''), 60_000);
  await until('answers', () => traffic.answered > 5, 60_000);

  await steer('paused', 'pause', {});
  await steer('revoked', 'revoke', {});
  await steer('north-3', 'drain', {});
  await tellVendor('PUT', 'keys/refused', { isRevoked: true });
  await tellVendor('PUT', 'keys/spent', { limitMicros: 0, limitReset: 'daily' });
  await tellVendor('PUT', 'accounts/south', { creditMicros: 0 });
  await until(
    'calls to find out',
    async () => {
      const rows = await healthRows();
      const kinds = rows.map(({ state, reason }) => `${state} ${reason}`).sort();
      return ['suspended authentication', 'suspended credits', 'suspended keyLimit'].every((kind) =>
        kinds.includes(kind),
      );
    },
    60_000,
  );
  await cool('north-2');
  const served = new Set(['north-1', 'north-3']);
  await until('the others to be left alone', async () => {
    const [calls, { answered }] = [await callCount(), traffic];
    await until('some answers', () => traffic.answered > answered + 10);
    return (await chatCallsSince(calls)).every((label) => served.has(label));
  });
  expect(await standings()).toMatchObject(said);
});

test.each(['worker', 'api', 'temporal', 'postgres'] as const)(
  '%s killed: states stay, calls are answered again, and no key that may not is used',
  async (victim) => {
    const before = await healthRows();
    const beforeRuns = await runIds();
    const calls = await callCount();
    await kill(victim);
    await bring(victim);
    const answered = traffic.answered;
    await until('answers again', () => traffic.answered > answered + 5, 60_000);

    expect(await standings()).toMatchObject(said);
    expect((await healthRows()).map(kept)).toEqual(before.map(kept));
    // The timers are the same: nobody had to begin anew.
    expect(await runIds()).toEqual(beforeRuns);
    const used = await chatCallsSince(calls);
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((label) => label !== 'north-1' && label !== 'north-3')).toEqual([]);
  },
);

test('what cools serves again at its time, and what is suspended when its vendor says so, with nobody’s help', async () => {
  await cool('north-2', 3_000);
  await until('the cooling to end', async () => !(await healthOf('north-2')), 60_000);

  await tellVendor('PUT', 'keys/refused', { isRevoked: false });
  await tellVendor('PUT', 'keys/spent', { limitMicros: 5_000_000 });
  await tellVendor('PUT', 'accounts/south', { creditMicros: 5_000_000 });
  // As if their hours had passed; nobody is told.
  await ground.db('llm_health').update({ next_check_at: ground.db.fn.now() });
  await ground.workers[0]?.kill9();
  await until('all to be well', async () => (await healthRows()).length === 0, 90_000);
  const since = await callCount();
  await until(
    'calls with each of them',
    async () => {
      const used = new Set(await chatCallsSince(since));
      return ['refused', 'spent', 'south-1'].every((label) => used.has(label));
    },
    60_000,
  );
  const used = await chatCallsSince(since);
  expect(used.filter((label) => label === 'paused' || label === 'revoked')).toEqual([]);
});

test('no key is in any log, answer or error', async () => {
  await traffic.stop();
  const secrets = [...ids.keys()].map(
    (label) =>
      [...(north?.keys ?? []), ...(south?.keys ?? [])].find((key) => key.label === label)?.secret ??
      secretOf(label),
  );
  const logs = readdirSync(ground.folder).filter((name) => name.endsWith('.log'));
  expect(logs).toEqual(expect.arrayContaining(['api.log', 'worker-0.log']));
  const texts = [
    ...logs.map((name) => readFileSync(path.join(ground.folder, name), 'utf8')),
    ...traffic.refusals,
    await adminless('/api/v1/llm/keys/status'),
  ];
  expect(secrets.filter((secret) => texts.some((text) => text.includes(secret)))).toEqual([]);
});

interface Traffic {
  answered: number;
  /** What was answered when it was no answer, each once. */
  refusals: Set<string>;
  stop(): Promise<void>;
}

// Four that ask one after the other, whatever comes.
function keepAsking(): Traffic {
  const state = { answered: 0, refusals: new Set<string>(), isOver: false };
  const one = async () => {
    while (!state.isOver) {
      try {
        const answer = await fetch(`${ground.apiUrl}/api/v1/llm/chat`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
          body: JSON.stringify({
            model: 'openai/gpt-4o-mini',
            messages: [{ role: 'user', content: `Say a word. ${Math.random()}` }],
            maxTokens: 16,
          }),
          signal: AbortSignal.timeout(10_000),
        });
        const text = await answer.text();
        if (answer.ok) {
          state.answered += 1;
        } else {
          state.refusals.add(text);
        }
      } catch {
        // The API is away.
      }
      await wait(50);
    }
  };
  const all = Promise.all([one(), one(), one(), one()]);
  return Object.assign(state, {
    async stop() {
      state.isOver = true;
      await all;
    },
  });
}

function ofVendor(label: string) {
  return { label, secret: secretOf(label) };
}

async function addAccount(
  vendor: (typeof DEMO_OPENROUTER_ACCOUNTS)[number] | undefined,
  keys: readonly { label: string; secret: string }[],
): Promise<string> {
  const accountId = await insertLlmAccount(ground.db, {
    baseUrl: `${ground.sandboxUrl}/openrouter/api/v1`,
    name: vendor?.id ?? '',
    managementKey: vendor?.managementKey ?? '',
  });
  for (const { label, secret } of keys) {
    ids.set(label, await insertLlmKey(ground.db, { accountId, label, secret }));
  }
  return accountId;
}

async function tellVendor(method: string, place: string, body: object): Promise<void> {
  const answer = await fetch(`${ground.sandboxUrl}/api/openrouter/${place}`, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) {
    throw new Error(`${place} was answered ${answer.status}: ${await answer.text()}`);
  }
}

/** A person's word, by the update that an operator in the Temporal UI sends. */
async function steer(label: string, word: string, input: object): Promise<void> {
  await ground.temporal.client.workflow
    .getHandle(keyringWorkflowId(northId))
    .executeUpdate(word, { args: [{ keyId: idOf(label), ...input }] });
}

async function cool(label: string, forMs = coolsForMs): Promise<void> {
  await ground
    .db('llm_health')
    .where({ key_id: idOf(label) })
    .delete();
  const at = Date.now();
  await acrossTenants(ground.db, 'llmRing', (trx) =>
    applyHealth(trx, [
      {
        type: 'tripped',
        kind: 'serverError',
        subject: subjectIn('key', { accountId: northId, keyId: idOf(label), model: '' }),
        actor: { kind: 'call', id: null },
        at,
        known: { until: at + forMs, failures: 1 },
        evidence: { status: 500 },
        poolId: platformPool,
      },
    ]),
  );
}

interface HealthRow {
  scope: string;
  account_id: string;
  key_id: string | null;
  state: string;
  reason: string;
  until: Date | null;
  since: Date;
}

function healthRows(): Promise<HealthRow[]> {
  return ground.db('llm_health').whereNot({ scope: 'model' }).orderBy('since').select();
}

async function healthOf(label: string): Promise<HealthRow | undefined> {
  const rows = await healthRows();
  return rows.find(({ key_id: keyId }) => keyId === idOf(label));
}

// A look in between puts off the next one; nothing else may change.
function kept({ scope, account_id, key_id, state, reason, since }: HealthRow) {
  return { scope, account_id, key_id, state, reason, since };
}

async function standings(): Promise<Record<string, string>> {
  const rows: { id: string; standing: string }[] = await ground.db('llm_keys').select();
  return Object.fromEntries(
    [...ids].map(([label, id]) => [label, rows.find((row) => row.id === id)?.standing ?? '']),
  );
}

async function runIds(): Promise<string[]> {
  return Promise.all(
    [northId, southId].map(async (accountId) => {
      try {
        const { runId } = await ground.temporal.client.workflow
          .getHandle(keyringWorkflowId(accountId))
          .describe();
        return runId;
      } catch {
        return '';
      }
    }),
  );
}

async function callsFrom(from: number): Promise<{ total: number; items: OpenRouterCall[] }> {
  const page = await fetch(
    `${ground.sandboxUrl}/api/openrouter/calls?limit=100000&from=${from + 1}`,
  );
  return JSON.parse(await page.text());
}

async function callCount(): Promise<number> {
  const { items } = await callsFrom(0);
  return items.at(-1)?.n ?? 0;
}

async function chatCallsSince(n: number): Promise<string[]> {
  const { items } = await callsFrom(n);
  return items.flatMap(({ path: asked, key }) => (asked === 'chat' && key !== null ? [key] : []));
}

async function kill(victim: 'worker' | 'api' | 'temporal' | 'postgres'): Promise<void> {
  const victims = {
    worker: () => ground.workers[0]?.kill9(),
    api: () => ground.api.kill9(),
    temporal: () => ground.temporalServer.kill9(),
    postgres: () => ground.postgres.kill9(),
  };
  await victims[victim]();
}

async function bring(victim: 'worker' | 'api' | 'temporal' | 'postgres'): Promise<void> {
  if (victim === 'temporal' || victim === 'postgres') {
    await bringBack(victim === 'temporal' ? ground.temporalServer : ground.postgres);
  }
  await Promise.all([ground.api.ready(), ground.workers[0]?.ready()]);
}

async function adminless(place: string): Promise<string> {
  const answer = await fetch(`${ground.apiUrl}${place}`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  return answer.text();
}
