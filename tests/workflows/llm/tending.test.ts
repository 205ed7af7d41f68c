import { createCallLedger } from '../../../gateway/ledger';
import { newId } from '../../../lib/ids';
import { createLogger } from '../../../lib/logger';
import { queues } from '../../../workflows/queues';
import type { tendLlm } from '../../../workflows/llm/tendLlm';
import { testSealing } from '../../support/accounts';
import { startCampaignGround, type CampaignGround } from '../../support/campaignGround';
import { until } from '../../support/conditions';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import { openCall } from '../../support/llmLedger';
import { insertTenant } from '../../support/records';

const secret = `sk-or-v1-${'tending'.padEnd(60, 'x')}`;
let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround({
    sandbox: {
      openRouterAccounts: [
        {
          id: 'tending',
          creditMicros: 1_000_000,
          managementKey: `${secret}m`,
          keys: [{ secret, label: 'tending' }],
        },
      ],
    },
  });
  await ground.startWorker();
});

afterAll(() => ground.stop());

test('reads models with the first key, settles a call whose process is gone, and says so', async () => {
  const { db, sandbox, temporal } = ground;
  const handle = await temporal.client.workflow.start<typeof tendLlm>('tendLlm', {
    workflowId: 'tendLlm-test',
    taskQueue: queues.workflows,
  });
  const tenantId = await insertTenant(db);
  const ledger = createCallLedger({
    db: ground.deps.db,
    sealing: testSealing,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });
  const call = openCall(tenantId);
  await ledger.open(call);
  await ledger.close();
  await db('llm_calls')
    .where({ id: call.callId })
    .update({ expires_at: new Date(Date.now() - 600_000) });

  const dead = await insertLlmAccount(db, { baseUrl: 'http://127.0.0.1:9/v1' });
  await insertLlmKey(db, { accountId: dead, secret: `sk-${newId()}` });
  const accountId = await insertLlmAccount(db, { baseUrl: `${sandbox.url}/openrouter/api/v1` });
  await insertLlmKey(db, { accountId, secret });
  const gone = { id: newId(), model: 'test/gone', request_micros: 0, image_micros: 0 };
  await db('llm_price_snapshots').insert({
    ...gone,
    prompt_micros_per_million: 1,
    completion_micros_per_million: 1,
    cached_micros_per_million: 1,
  });
  await db('llm_models').insert({
    id: 'test/gone',
    name: 'Gone',
    context_tokens: 1,
    input_modalities: ['text'],
    output_modalities: ['text'],
    parameters: [],
    price_snapshot_id: gone.id,
    seen_at: new Date(0),
  });

  await until(
    'the models are there',
    async () => {
      const models = await db('llm_models').where({ id: 'openai/gpt-5-mini' });
      return models.length > 0;
    },
    60_000,
  );
  const [mini] = await db('llm_models')
    .join('llm_price_snapshots as p', 'p.id', 'llm_models.price_snapshot_id')
    .where({ 'llm_models.id': 'openai/gpt-5-mini' });
  expect(mini).toMatchObject({
    is_default: true,
    is_enabled: true,
    context_tokens: 400_000,
    prompt_micros_per_million: 250_000,
    completion_micros_per_million: 2_000_000,
  });
  // One of the lists could not be read, so that nothing is known to be gone.
  expect(await db('llm_models').where({ id: 'test/gone' })).toMatchObject([{ gone_at: null }]);

  await until(
    'the call is settled',
    async () => {
      const settled = await db('llm_calls').where({ id: call.callId, outcome: 'lost' });
      return settled.length > 0;
    },
    60_000,
  );
  expect(await db('llm_spend').where({ tenant_id: tenantId, scope: 'tenant' })).toMatchObject([
    { reserved_micros: 0, spent_micros: 1_000 },
    { reserved_micros: 0, spent_micros: 1_000 },
  ]);
  await handle.terminate();
}, 150_000);
