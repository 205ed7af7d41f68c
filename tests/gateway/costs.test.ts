import { createCallMetrics } from '../../gateway/callMetrics';
import { createCostLookUps, free, sumOf, type Cost } from '../../gateway/costs';
import { createMetrics } from '../../lib/metrics';
import { createLlmProviders } from '../../providers/llm';

const guess: Cost = { usage: null, costMicros: 40, costSource: 'estimate' };

test('a sum is known as its worst part is', () => {
  const told: Cost = { usage: null, costMicros: 7, costSource: 'vendor' };
  expect(sumOf([])).toEqual(free);
  expect(sumOf([told, free])).toMatchObject({ costMicros: 7, costSource: 'vendor' });
  expect(sumOf([guess, told])).toMatchObject({ costMicros: 47, costSource: 'estimate' });
});

test('what goes wrong when a vendor was asked ends no process', async () => {
  const errors: unknown[] = [];
  const lookUps = createCostLookUps({ error: (said: unknown) => void errors.push(said) });
  const providers = createLlmProviders({ onlyPublic: false });
  const question = {
    provider: providers.openai,
    credentials: { baseUrl: 'http://127.0.0.1:9', apiKey: 'key' },
    generationId: 'gen-1',
    costOf: () => guess,
  };
  lookUps.settle([{ cost: guess, question }], () => {
    throw new Error('a bug');
  });
  // Nothing more is asked, and what is known settles it.
  await lookUps.close();
  expect(errors).toEqual([{ err: new Error('a bug') }]);
  await Promise.all(Object.values(providers).map((provider) => provider.close()));
});

test('numbers take whatever they are told', async () => {
  const registry = createMetrics('test');
  const metrics = createCallMetrics(registry);
  for (const costMicros of [5, -1_000_000, Number.NaN]) {
    metrics.ended({ kind: 'chat', outcome: 'failed', totalMs: 1, costMicros });
  }
  expect(await registry.metrics()).toMatch(/carillon_llm_cost_micros_total\{[^}]*\} 5\n/);
});
