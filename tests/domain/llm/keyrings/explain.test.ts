import { forecast, keyringDetails } from '../../../../domain/llm/keyrings/details';
import { explainKey, explainKeys, worstState } from '../../../../domain/llm/keyrings/explain';
import { at, healthSeen, keySeen, now, ringSeen, transitionSeen } from './seen';

const textOf = (ring: ReturnType<typeof ringSeen>, keyId = '2') =>
  explainKey(ring, keyId, now)?.text;

test.each([
  ['Key demo-2 is active.', ringSeen()],
  [
    'Key demo-2 is cooling with its account Acme main until 12:02:10 UTC because 429, the vendor limits the account (X-RateLimit-Reset); before it 2 × the vendor limits the account, 1 × the vendor failed since 11:50:00 UTC.',
    ringSeen({
      health: [healthSeen({ until: at(130), evidence: { status: 429, resetsAt: now + 130_000 } })],
      transitions: [
        transitionSeen({ at: at(-10) }),
        transitionSeen({ at: at(-100) }),
        transitionSeen({ at: at(-90), toState: 'well', reason: null }),
        transitionSeen({ at: at(-300) }),
        transitionSeen({ at: at(-600), keyId: '2', reason: 'serverError' }),
        transitionSeen({ at: at(-700), keyId: '1', reason: 'authentication' }),
      ],
    }),
  ],
  [
    'Key demo-2 is suspended because 401, the vendor does not take the key; before it 1 in a row just before; next look at 12:05:00 UTC.',
    ringSeen({
      health: [
        healthSeen({
          keyId: '2',
          state: 'suspended',
          reason: 'authentication',
          nextCheckAt: at(300),
          failures: 2,
          evidence: { status: 401 },
        }),
      ],
    }),
  ],
  [
    'Key demo-2 is suspended until 2026-11-22 00:00:00 UTC because 402, the key’s own limit is spent; next look at 12:30:00 UTC.',
    ringSeen({
      health: [
        healthSeen({
          keyId: '2',
          state: 'suspended',
          reason: 'keyLimit',
          until: at(43_200),
          nextCheckAt: at(1_800),
          evidence: { status: 402 },
        }),
      ],
    }),
  ],
  [
    'Key demo-2 is cooling because the vendor cannot be reached; that was until 11:59:50 UTC, so the next call or probe tries it.',
    ringSeen({ health: [healthSeen({ keyId: '2', reason: 'unreachable', until: at(-10) })] }),
  ],
  [
    'Key demo-2 is paused by user u1 ("strange bills").',
    ringSeen({
      keys: [
        keySeen('2', { standing: 'paused', standingBy: 'u1', standingReason: 'strange bills' }),
      ],
      // A person's word comes first.
      health: [healthSeen({ keyId: '2', state: 'suspended', reason: 'authentication' })],
    }),
  ],
  [
    'Key demo-2 is paused with its account Acme main by an operator.',
    ringSeen({ account: { standing: 'paused' } }),
  ],
  [
    'Key demo-2 is draining by user u1 since 11:58:20 UTC; demo-3 came in its place: it ends what it began and begins nothing new.',
    ringSeen({
      keys: [
        keySeen('2', {
          standing: 'draining',
          standingBy: 'u1',
          standingAt: at(-100),
          replacedBy: '3',
        }),
        keySeen('3'),
      ],
    }),
  ],
  [
    'Key demo-2 has expired: its own end was 11:59:59 UTC.',
    ringSeen({ keys: [keySeen('2', { expiresAt: at(-1) })] }),
  ],
])('%s', (text, ring) => {
  expect(textOf(ring)).toBe(text);
});

test('what holds another key, or one model, holds no key back', () => {
  const ring = ringSeen({
    health: [
      healthSeen({ keyId: '1', state: 'suspended', reason: 'authentication' }),
      healthSeen({ scope: 'model', model: 'acme/one', reason: 'modelUnavailable' }),
    ],
  });
  expect(explainKeys(ring, now).map(({ state }) => state)).toEqual([
    'suspended',
    'active',
    'active',
  ]);
  expect(textOf(ring, '4')).toBeUndefined();
});

test('the worst state is that of a key that may serve again', () => {
  const states = (...standings: ('revoked' | 'paused' | 'active')[]) =>
    worstState(
      explainKeys(
        ringSeen({ keys: standings.map((standing, n) => keySeen(`${n}`, { standing })) }),
        now,
      ),
    );
  expect(states('active', 'revoked')).toBe('active');
  expect(states('active', 'paused', 'revoked')).toBe('paused');
});

test('the details say the credit, each key, and who said what; names cannot break the table', () => {
  const ring = ringSeen({
    keys: [keySeen('1', { label: 'a | b' })],
    words: [
      transitionSeen({
        keyId: '1',
        fromState: 'active',
        toState: 'paused',
        reason: 'too dear',
        actorKind: 'user',
        actorId: 'u1',
      }),
    ],
    health: [healthSeen({ state: 'suspended', reason: 'credits', nextCheckAt: at(60) })],
  });
  const details = keyringDetails(ring, { forecasts: {}, nowMs: now, waitsFor: 'Waiting' });
  expect(details.split('\n')).toEqual(
    expect.arrayContaining([
      '**Acme main**: **out of credit** since 11:59:50 UTC, next look 12:01:00 UTC; $12.34 of credit left at 11:59:00 UTC.',
      '| a \\| b | **suspended** | asked again 12:01:00 UTC | its account: the account is out of credit | – |',
      '| 11:58:20 UTC | user u1 | a \\| b: active → paused ("too dear") |',
    ]),
  );
});

test('warns once at each step towards the end of a credit', () => {
  const ringAt = (seconds: number, balanceMicros: number) =>
    ringSeen({ account: { balanceMicros, balanceAt: at(seconds) }, keys: [] });
  let forecasts = {};
  const warned: unknown[] = [];
  // A dollar an hour, from ten days of it to nothing within an hour.
  for (const [hour, dollars] of [
    [0, 240],
    [1, 239],
    [2, 238],
    [3, 100],
    [4, 5],
    [5, 4],
  ] as const) {
    const found = forecast(forecasts, ringAt(hour * 3_600, dollars * 1_000_000));
    forecasts = found.forecasts;
    warned.push(...found.told.map(({ warning }) => [hour, warning]));
  }
  expect(warned).toEqual([
    [3, '24 h'],
    [4, '1 h'],
  ]);
});
