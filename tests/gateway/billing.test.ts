import type { ServerResponse } from 'node:http';
import type { Llm } from '../../gateway';
import { createMetrics } from '../../lib/metrics';
import { insertBudget, sumsOf } from '../support/llmLedger';
import {
  knows,
  models,
  openLlmGround,
  read,
  told,
  type LlmGround,
  type LlmTenant,
} from '../support/llmGround';
import {
  answerJson,
  beginStream,
  chunk,
  event,
  openVendor,
  type Asked,
  type Vendor,
} from '../providers/llm/support';

// What calls are billed when the vendor tells wrong things of them, or nothing. The models of the
// ground cost 0.25 dollars a million tokens to read and 2 dollars to write.

let ground: LlmGround;
let vendor: Vendor;
let tenant: LlmTenant;
let llm: Llm;

beforeAll(async () => {
  [ground, vendor] = await Promise.all([openLlmGround(), openVendor()]);
});

afterAll(async () => {
  await ground.close();
  await vendor.close();
});

async function open(settings: object = {}, accounts: readonly string[] = ['north']) {
  const { baseUrl } = vendor.credentials;
  const baseUrls = { north: baseUrl, south: baseUrl };
  tenant = await ground.tenant(accounts, { baseUrls, settings });
  llm = await ground.process({ metrics: createMetrics('test') });
  await knows(llm, tenant);
}

const tokens = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 };
// 100 * 0.25 + 50 * 2
const tokensMicros = 125;

function reply(more: object = {}, content: string = 'Lamps for less') {
  return {
    id: 'gen-1',
    model: models.main,
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: tokens,
    ...more,
  };
}

/** Chats as told; what generations cost as `generation` says, 404 without it. */
function answers(chat: (response: ServerResponse, asked: Asked) => void, generation?: object) {
  vendor.answers((response, asked) => {
    if (asked.method === 'GET') {
      const isKnown = asked.path.startsWith('/api/v1/generation') && generation !== undefined;
      answerJson(response, isKnown ? { data: generation } : {}, isKnown ? 200 : 404);
      return;
    }
    chat(response, asked);
  });
}

const chats = () => vendor.asked.filter(({ method }) => method === 'POST');

async function sums() {
  await llm.ledger.flush();
  const { calls, days, counters } = await sumsOf(ground.database.db, tenant.id);
  const ofTenant = counters.find(({ scope, period }) => scope === 'tenant' && period === 'month');
  expect([days.spent, ofTenant?.spent]).toEqual([calls.spent, calls.spent]);
  return calls;
}

describe('what an answer says it cost', () => {
  beforeEach(() => open());

  test.each([-0.04, -3, 9e9, 50])('is not believed where it is %s dollars', async (cost) => {
    answers((response) => answerJson(response, reply({ usage: { ...tokens, cost } })));
    const answer = await llm.gateway.chat(tenant.ask());
    expect(answer.costMicros).toBe(tokensMicros);
    expect(await tenant.record()).toMatchObject({
      outcome: 'succeeded',
      cost_micros: tokensMicros,
      cost_source: 'prices',
    });
    await sums();
  });

  test('holds where it may be', async () => {
    answers((response) => answerJson(response, reply({ usage: { ...tokens, cost: 0.000321 } })));
    expect((await llm.gateway.chat(tenant.ask())).costMicros).toBe(321);
    expect(await tenant.record()).toMatchObject({ cost_micros: 321, cost_source: 'vendor' });
  });

  test.each([-1, 9e9])('afterwards, as %s dollars, ends no process', async (total_cost) => {
    answers(
      (response) => {
        beginStream(response);
        response.write(event(chunk({ content: 'Lamps' })), () => response.destroy());
      },
      { total_cost, tokens_prompt: 0, tokens_completion: 0 },
    );
    const { error } = await read(llm.gateway.stream(tenant.ask({ consumer: 'raw' })));
    expect(error).not.toBeNull();
    expect(vendor.asked.length).toBeGreaterThan(0);
    const record = await tenant.record();
    expect(record).toMatchObject({ outcome: 'failed', cost_source: 'estimate' });
    expect(record['cost_micros']).toBeGreaterThan(0);
    expect(record['cost_micros']).toBeLessThan(1_000);
    await sums();
  });
});

describe('an answer that tells nothing', () => {
  beforeEach(() => open());

  test('is billed by its length', async () => {
    const text = 'Lamps for less. '.repeat(70);
    answers((response) => answerJson(response, reply({ usage: undefined }, text)));
    await llm.gateway.chat(tenant.ask({ maxTokens: 2_000 }));
    const record = await tenant.record();
    expect(record).toMatchObject({ cost_source: 'estimate' });
    // 1,120 bytes are 320 tokens at 2 micros, and the prompt.
    expect(record['cost_micros']).toBeGreaterThan(640);
    expect(record['cost_micros']).toBeLessThan(660);
  });

  test('is billed by its pictures', async () => {
    answers((response) =>
      answerJson(response, { data: [{ b64_json: 'AAAA' }, { b64_json: 'AAAA' }] }),
    );
    const { costMicros } = await llm.gateway.image({
      asker: tenant.ask().asker,
      model: models.image,
      priority: 'interactive',
      deadlineMs: 20_000,
      prompt: 'A lamp',
      n: 2,
      size: null,
    });
    expect(costMicros).toBeGreaterThanOrEqual(80_000);
    expect(costMicros).toBeLessThan(80_100);
    expect(await tenant.record()).toMatchObject({ cost_micros: costMicros });
  });

  test('is billed by its thoughts where whoever asked leaves', async () => {
    answers((response) => {
      beginStream(response);
      const thought = event(chunk({ reasoning: 'x'.repeat(3_500) }));
      response.write(thought + event(chunk({ content: 'Lamps' })));
    });
    for await (const { type } of llm.gateway.stream(tenant.ask({ consumer: 'raw' }))) {
      expect(type).toBe('text');
      break;
    }
    const record = await tenant.record();
    expect(record).toMatchObject({ outcome: 'cancelled', cost_source: 'estimate' });
    expect(record['cost_micros']).toBeGreaterThanOrEqual(2_000);
    expect(vendor.asked.some(({ path }) => path === '/api/v1/generation?id=gen-1')).toBe(true);
    await sums();
  });

  test('is billed by its thoughts where nothing follows them', async () => {
    llm = await ground.process({ idleMs: 300 });
    await knows(llm, tenant);
    answers((response) => {
      beginStream(response);
      response.write(event(chunk({ reasoning: 'x'.repeat(3_500) })));
    });
    const { error } = await read(llm.gateway.stream(tenant.ask({ consumer: 'raw' })));
    expect(error).not.toBeNull();
    const record = await tenant.record();
    expect(record).toMatchObject({ outcome: 'failed', cost_source: 'estimate' });
    expect(record['cost_micros']).toBeGreaterThanOrEqual(2_000);
    await sums();
  });

  test('is asked for where it broke off behind its head', async () => {
    let calls = 0;
    answers(
      (response) => {
        calls += 1;
        if (calls > 1) {
          answerJson(response, reply({ usage: { ...tokens, cost: 0.0001 } }));
          return;
        }
        response.writeHead(200, { 'Content-Type': 'application/json', 'x-generation-id': 'gen-9' });
        response.write('{"id": ', () => response.destroy());
      },
      { total_cost: 0.0003, tokens_prompt: 10, tokens_completion: 20 },
    );
    await llm.gateway.chat(tenant.ask());
    expect(await tenant.record()).toMatchObject({
      outcome: 'succeeded',
      cost_source: 'vendor',
      cost_micros: 400,
    });
    await sums();
  });

  test('says what it cost though it says nothing else', async () => {
    answers((response) => answerJson(response, reply({ usage: { ...tokens, cost: 0.0002 } }, '')));
    expect(await told(llm.gateway.chat(tenant.ask()))).toMatchObject({ because: 'emptyAnswer' });
    const record = await tenant.record();
    expect(record).toMatchObject({ outcome: 'failed', cost_source: 'vendor' });
    expect(record['cost_micros']).toBe(200 * chats().length);
    await sums();
  });
});

test.each(['gpt-5-mini-2026-01-01', 'm'.repeat(5_000), 'bad\u0000name'])(
  'an answer by a name that nobody knows is billed as what was asked: %#',
  async (model) => {
    await open();
    answers((response) => answerJson(response, reply({ model, id: `gen${model}` })));
    expect((await llm.gateway.chat(tenant.ask())).costMicros).toBe(tokensMicros);
    expect(await tenant.record()).toMatchObject({
      model: models.main,
      cost_micros: tokensMicros,
      cost_source: 'prices',
    });
    await sums();
  },
);

describe('a second attempt', () => {
  const schema = {
    name: 'line',
    schema: { type: 'object', properties: { line: { type: 'string' } }, required: ['line'] },
  };
  // It costs 200 tokens to write, 400 micros, and a little to read.
  const oneAttempt = 460;

  test('is paid by the budget where the first was billed, or not made', async () => {
    await open();
    await insertBudget(ground.database.db, { tenantId: tenant.id, limitMicros: oneAttempt });
    const usage = { ...tokens, cost: 0.0004 };
    answers((response) => answerJson(response, reply({ usage }, 'no JSON')));
    expect(await told(llm.gateway.chat(tenant.ask({ schema })))).toMatchObject({
      kind: 'planLimit',
      code: 'llmBudgetSpent',
    });
    expect(chats()).toHaveLength(1);
    expect(await tenant.record()).toMatchObject({ outcome: 'failed', cost_micros: 400 });
    await sums();
  });

  test('is made where the first was billed and there is room', async () => {
    await open();
    await insertBudget(ground.database.db, { tenantId: tenant.id, limitMicros: 2 * oneAttempt });
    const usage = { ...tokens, cost: 0.0004 };
    let calls = 0;
    answers((response) => {
      calls += 1;
      answerJson(response, reply({ usage }, calls === 1 ? 'no JSON' : '{"line":"Lamps"}'));
    });
    expect(await llm.gateway.chat(tenant.ask({ schema }))).toMatchObject({
      json: { line: 'Lamps' },
      costMicros: 800,
    });
    expect(await sums()).toMatchObject({ spent: 800, reserved: 0 });
  });

  test('needs no more where the first cost nothing', async () => {
    await open({}, ['north', 'south']);
    await insertBudget(ground.database.db, { tenantId: tenant.id, limitMicros: oneAttempt });
    let calls = 0;
    answers((response) => {
      calls += 1;
      if (calls === 1) {
        answerJson(response, { error: { code: 503, message: 'Overloaded' } }, 503);
        return;
      }
      answerJson(response, reply());
    });
    expect(await told(llm.gateway.chat(tenant.ask()))).toMatchObject({ attempts: 2 });
  });

  test('is not made beside a slow first one without the room for both', async () => {
    await open({ hedge_after_ms: 100 }, ['north', 'south']);
    await insertBudget(ground.database.db, { tenantId: tenant.id, limitMicros: oneAttempt });
    answers((response) => {
      setTimeout(() => answerJson(response, reply()), 600);
    });
    expect(await told(llm.gateway.chat(tenant.ask()))).toMatchObject({ attempts: 1 });
    expect(chats()).toHaveLength(1);
    expect(await sums()).toMatchObject({ spent: tokensMicros, reserved: 0 });
  });

  test('is booked to its own key, as the first one is to its', async () => {
    await open({}, ['north', 'south']);
    let calls = 0;
    answers(
      (response) => {
        calls += 1;
        beginStream(response);
        if (calls === 1) {
          response.write(event(chunk({ content: 'Half' })), () => response.destroy());
          return;
        }
        const usage = { ...tokens, cost: 0.0001 };
        const end = chunk({ content: 'Whole' }, 'stop', { model: models.main, usage });
        response.end(event(end) + event('[DONE]'));
      },
      { total_cost: 0.0003, tokens_prompt: 10, tokens_completion: 20 },
    );
    const { text } = await read(llm.gateway.stream(tenant.ask()));
    expect(text).toBe('Whole');
    const record = await tenant.record();
    expect(record).toMatchObject({ attempts: 2, cost_micros: 400, cost_source: 'vendor' });
    const attempts: { key_id: string }[] = await ground.database
      .db('llm_attempts')
      .where({ call_id: record['id'] })
      .orderBy('n');
    const [first, second] = attempts.map(({ key_id }) => key_id);
    expect(first).not.toBe(second);
    const spentBy = async (keyId: string | undefined) =>
      ground.database
        .db('llm_spend')
        .where({ scope: 'key', subject: keyId ?? '', period: 'month' })
        .pluck('spent_micros');
    expect([await spentBy(first), await spentBy(second)]).toEqual([[300], [100]]);
    await sums();
  });

  test('is not kept as the answer of the model that was asked first', async () => {
    await open();
    const ask = tenant.ask({ temperature: 0, fallbackModels: [models.other] });
    let isDown = true;
    answers((response, { body }) => {
      if (isDown && body['model'] === models.main) {
        const error = { code: 404, message: 'No endpoints found for this model' };
        answerJson(response, { error }, 404);
        return;
      }
      answerJson(response, reply({ model: body['model'] }));
    });
    expect(await llm.gateway.chat(ask)).toMatchObject({ model: models.other, attempts: 2 });
    isDown = false;
    expect((await llm.gateway.chat(ask)).attempts).toBeGreaterThan(0);
  });
});
