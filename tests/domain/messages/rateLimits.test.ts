import { describeLimit, messagesPerCall } from '../../../domain/messages/rateLimits';

test.each([
  [[], 1_000],
  [[{ per: 'day', unit: 'messages', most: 1_000_000 }], 1_000],
  [[{ per: 'second', unit: 'messages', most: 1_000 }], 50],
  [[{ per: 'minute', unit: 'messages', most: 1_210 }], 61],
  [[{ per: 'second', unit: 'messages', most: 3 }], 1],
  [[{ per: 'second', unit: 'calls', most: 1 }], 1_000],
  [
    [
      {
        per: 'day',
        unit: 'messages',
        most: 100_000,
        growth: { from: 50, by: 2, since: '2026-01-01' },
      },
    ],
    3,
  ],
] as const)('a call under %j holds %i messages', (limits, messages) => {
  expect(messagesPerCall(limits, 1_000)).toBe(messages);
});

test('an operator reads which limit makes calls wait', () => {
  const limit = { per: 'minute', unit: 'messages', most: 6_000 } as const;
  expect(describeLimit(limit)).toBe('rateLimit: 6,000 messages a minute');
  expect(describeLimit({ ...limit, isSlowed: true })).toBe(
    'rateLimit: 6,000 messages a minute, slowed down after refusals',
  );
});
