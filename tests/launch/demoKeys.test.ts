import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadConfig } from '../../lib/config';
import { newId } from '../../lib/ids';
import { DEMO_OPENROUTER_ACCOUNTS } from '../../sandbox/openrouter/accounts';
import { hasModelKeysOfDemoAlone } from '../../workers/launch/demo/modelKeys';
import { seedDemo } from '../../workers/launch/demo/seed';
import { parseStartOptions } from '../../workers/launch/options';
import { createOutput } from '../../workers/launch/output';
import { makePlan } from '../../workers/launch/plan';
import { loadSecrets } from '../../workers/launch/secrets';
import { temporaryFolder } from '../support/ground';
import { insertLlmAccount, insertLlmKey } from '../support/llm';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(() => database.drop());

const facts = { email: 'owner@demo.test', password: 'x', campaigns: [], hasModelKeys: true };
const standings = async () =>
  (await database.db('llm_keys').orderBy('id')).map(({ standing }) => standing);

/** A folder in which a demo was started, with the keys of the sandbox and one of somebody's own. */
async function prepare() {
  const folder = temporaryFolder('demo-keys');
  const factsFile = path.join(folder, 'demo.json');
  writeFileSync(factsFile, JSON.stringify(facts));
  const accountId = await insertLlmAccount(database.db, { baseUrl: 'http://127.0.0.1:9/v1' });
  for (const { secret } of DEMO_OPENROUTER_ACCOUNTS.flatMap(({ keys }) => keys)) {
    await insertLlmKey(database.db, { accountId, secret });
  }
  return { folder, accountId, stored: () => JSON.parse(readFileSync(factsFile, 'utf8')) };
}

async function start(folder: string, environment: Record<string, string>): Promise<string[]> {
  const config = loadConfig([], { API_PORT: '0', CARILLON_DATA_DIR: folder, ...environment });
  const said: string[] = [];
  const write = (line: string) => void said.push(JSON.parse(line).msg);
  const output = createOutput({ isTerminal: false, level: 'info', write });
  await seedDemo({
    plan: await makePlan(config, parseStartOptions(['--no-demo'])),
    secrets: loadSecrets(folder),
    databaseUrl: database.url,
    output,
  });
  return said;
}

test('the keys of an old demo are revoked where real ones are configured, and nothing else is', async () => {
  const { folder, accountId, stored } = await prepare();
  await start(folder, {});
  expect(new Set(await standings())).toEqual(new Set(['active']));
  expect(await hasModelKeysOfDemoAlone(database.url)).toBe(true);

  const own = await insertLlmKey(database.db, { accountId, secret: `sk-${newId()}` });
  expect(await hasModelKeysOfDemoAlone(database.url)).toBe(false);
  const real = { OPENAI_API_KEY: 'sk-a-key-of-somebody' };
  expect(await start(folder, real)).toEqual([
    "6 keys of the demo's models revoked: real ones are configured",
  ]);
  expect(await standings()).toEqual([...Array(6).fill('revoked'), 'active']);
  expect(await database.db('llm_keys').where({ id: own })).toMatchObject([{ standing: 'active' }]);
  const told = await database.db('llm_transitions').where({ to_state: 'revoked' });
  expect(told).toHaveLength(6);
  expect(told[0]).toMatchObject({
    actor_kind: 'system',
    reason: 'Of the demo: real keys are configured',
  });
  // The next start without real ones gives them anew.
  expect(stored()).toEqual({ ...facts, hasModelKeys: false });
  expect(await start(folder, real)).toEqual([]);
});
