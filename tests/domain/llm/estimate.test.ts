import {
  costOfTokens,
  promptTokens,
  tokensOfText,
  unknownPrices,
} from '../../../domain/llm/estimate';

const prices = {
  promptMicrosPerMillion: 250_000,
  completionMicrosPerMillion: 2_000_000,
  cachedMicrosPerMillion: 25_000,
  requestMicros: 3,
  imageMicros: 0,
};

test('what is read from the cache costs its own price, and parts of a micro are whole ones', () => {
  const usage = { promptTokens: 1_001, cachedTokens: 1_000, completionTokens: 10 };
  expect(costOfTokens(usage, prices)).toBe(Math.ceil(0.25 + 25 + 20) + 3);
});

test('texts of any script are rather taken for more tokens than they have', () => {
  expect(tokensOfText('')).toBe(0);
  expect(tokensOfText('a'.repeat(35))).toBe(10);
  expect(tokensOfText('灯'.repeat(35))).toBe(30);
});

test('tools, pictures and the schema are read too', () => {
  const messages = [
    {
      role: 'user' as const,
      content: [
        { type: 'text' as const, text: 'what is this?' },
        { type: 'image' as const, url: 'https://example.com/lamp.png' },
      ],
    },
  ];
  const bare = promptTokens({ messages, tools: [], schema: null });
  expect(bare).toBeGreaterThan(1_500);
  const tools = [{ name: 'look', description: 'looks', parameters: { type: 'object' } }];
  const schema = { name: 'lamp', schema: { type: 'object' } };
  expect(promptTokens({ messages, tools, schema })).toBeGreaterThan(bare);
});

test('a model of unknown price is taken to be dear', () => {
  const usage = { promptTokens: 1_000_000, cachedTokens: 0, completionTokens: 0 };
  expect(costOfTokens(usage, unknownPrices)).toBe(15_000_000);
});
