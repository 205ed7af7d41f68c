import { ReplyCache } from '../../gateway/ReplyCache';

function kept(text: string, values: { json?: unknown; called?: string } = {}) {
  const { json = null, called } = values;
  return {
    json,
    reply: {
      generationId: null,
      model: 'a/main',
      text,
      toolCalls: called === undefined ? [] : [{ id: '1', name: 'look', arguments: called }],
      finishReason: 'stop',
      usage: {
        promptTokens: 1,
        completionTokens: 1,
        cachedTokens: 0,
        reasoningTokens: 0,
        costMicros: 1,
      },
    },
  } as const;
}

test.each([
  ['a text', kept('x'.repeat(100_000)), true],
  ['a text that is too long', kept('x'.repeat(300_000)), false],
  ['what was read out of a text', kept('[]'.repeat(1_000), { json: [] }), true],
  ['what takes up many times its text', kept('[]'.repeat(50_000), { json: [] }), false],
  ['what tools are called with', kept('', { called: 'x'.repeat(600_000) }), false],
])('%s', (_, answer, isKept) => {
  const cache = new ReplyCache();
  cache.set('key', answer);
  expect(cache.get('key') !== null).toBe(isKept);
});
