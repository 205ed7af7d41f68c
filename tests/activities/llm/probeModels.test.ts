import { callsOf, healthOf, insertModel, setFaults } from '../../workflows/llm/ground';
import { bench, orderOf, startProbeGround, type Prepared, type ProbeGround } from './ground';

let ground: ProbeGround;

beforeAll(async () => {
  ground = await startProbeGround();
  // The cheapest of all, which the vendor does not know.
  await addModel('acme/cheap', 1);
});

afterEach(() => setFaults(ground, []));

afterAll(() => ground.stop());

const addModel = (id: string, price: number) => insertModel(ground.admin, id, price);

/** The model answered calls with a key of the account, days ago. */
async function answered(
  account: Prepared,
  model: string,
  { keyId = account.keyIds[0], daysAgo = 3, completionTokens = 5, failed = 0 } = {},
): Promise<void> {
  await ground.admin('llm_usage_days').insert({
    tenant_id: account.tenantId,
    day: ground.admin.raw('current_date - cast(? as int)', [daysAgo]),
    feature: 'script',
    model,
    key_id: keyId,
    calls: 2,
    failed,
    completion_tokens: completionTokens,
  });
}

async function modelsAsked(account: Prepared): Promise<string[]> {
  const calls = await callsOf(ground, account.labels, 'chat');
  return calls.map(({ model }) => model ?? '');
}

const accountHealth = ({ accountId }: Prepared) =>
  healthOf(ground.admin, { accountId, scope: 'account' });

/** Of any endpoint that speaks as OpenAI does: the catalogue knows nothing of its models. */
async function prepareOwnEndpoint(): Promise<Prepared> {
  const account = await ground.prepare({ hasManagementKey: false });
  await ground.admin('llm_accounts').where({ id: account.accountId }).update({ vendor: 'openai' });
  return account;
}

const probe = (account: Prepared) => ground.run((ask) => ask.probeCapacity(orderOf(account)));

test('an endpoint of which the catalogue knows nothing is asked with what it answered lately', async () => {
  const account = await prepareOwnEndpoint();
  await answered(account, 'anthropic/claude-haiku-4.5');
  await answered(account, 'openai/text-embedding-3-small', { completionTokens: 0 });
  await answered(account, 'openai/gpt-5', { failed: 2 });
  await answered(account, 'openai/gpt-5-mini', { daysAgo: 60 });
  await bench(ground, account, 'credits');
  expect(await probe(account)).toMatchObject({ outcome: 'well' });
  expect(await modelsAsked(account)).toEqual(['anthropic/claude-haiku-4.5']);
  expect(await accountHealth(account)).toBeUndefined();
});

test('else with what others at its address answered, else with what the key may use by name', async () => {
  const account = await prepareOwnEndpoint();
  const [keyId = '', otherKeyId = ''] = account.keyIds;
  const allow = (models: string[] | null) =>
    ground.admin('llm_keys').where({ id: keyId }).update({ allowed_models: models });
  await allow(['openai/gpt-5*', 'openai/gpt-4o-mini']);
  await bench(ground, account, 'credits');
  await probe(account);
  const sibling = await ground.prepare({ tenantId: account.tenantId });
  await ground.admin('llm_accounts').where({ id: sibling.accountId }).update({ vendor: 'openai' });
  await answered(account, 'openai/gpt-5-mini', { keyId: sibling.keyIds[0] });
  await answered(account, 'anthropic/claude-haiku-4.5', { keyId: otherKeyId });
  await bench(ground, account, 'credits');
  await probe(account);
  expect(await modelsAsked(account)).toEqual(['openai/gpt-4o-mini', 'openai/gpt-5-mini']);
});

test('a model that is not to be had is no verdict: the next is asked, and nothing is said of models', async () => {
  const account = await ground.prepare({ hasManagementKey: false });
  await answered(account, 'openai/gpt-5');
  await setFaults(ground, [
    { fault: 'regionRestricted', model: 'openai/gpt-5', account: account.vendorId },
  ]);
  await bench(ground, account, 'credits');
  expect(await probe(account)).toMatchObject({ outcome: 'well' });
  expect(await modelsAsked(account)).toEqual(['openai/gpt-5', 'acme/cheap', 'openai/gpt-4o-mini']);
  expect(await ground.admin('llm_health').where({ tenant_id: account.tenantId })).toEqual([]);
});

test('models that are not well are left out', async () => {
  const account = await ground.prepare({ hasManagementKey: false });
  await answered(account, 'openai/gpt-5');
  for (const [scope, model] of [
    ['model', 'openai/gpt-5'],
    ['accountModel', 'acme/cheap'],
  ] as const) {
    await ground.admin('llm_health').insert({
      tenant_id: account.tenantId,
      scope,
      model,
      account_id: scope === 'model' ? null : account.accountId,
      state: 'cooling',
      reason: 'modelUnavailable',
      until: ground.admin.raw(`now() + interval '10 minutes'`),
    });
  }
  await bench(ground, account, 'credits');
  await probe(account);
  expect(await modelsAsked(account)).toEqual(['openai/gpt-4o-mini']);
});

test('where no model is known, the page of a good key lets calls find out', async () => {
  const account = await prepareOwnEndpoint();
  await bench(ground, account, 'credits');
  expect(await probe(account)).toMatchObject({ outcome: 'well' });
  expect(await modelsAsked(account)).toEqual([]);
  expect(await accountHealth(account)).toBeUndefined();
});

test('and not before its time, nor where the page refuses the key', async () => {
  const account = await prepareOwnEndpoint();
  await bench(ground, account, 'platformRateLimit', { retryAfterMs: 60_000 });
  expect(await probe(account)).toMatchObject({ outcome: 'notAsked', why: 'noModel' });
  expect(await accountHealth(account)).toBeDefined();

  const other = await prepareOwnEndpoint();
  await bench(ground, other, 'credits');
  await setFaults(ground, [{ fault: 'unauthorized', account: other.vendorId, paths: ['models'] }]);
  expect(await probe(other)).toMatchObject({ outcome: 'failed', why: 'authentication' });
  expect(await accountHealth(other)).toMatchObject({ state: 'suspended', reason: 'credits' });
});
