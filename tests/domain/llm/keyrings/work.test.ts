import { lastsMs, warningOf, withSample } from '../../../../domain/llm/keyrings/forecast';
import { nextLimitReset } from '../../../../domain/llm/keyrings/limitReset';
import type { KeyringMemory } from '../../../../domain/llm/keyrings/jobs';
import { keyringWork } from '../../../../domain/llm/keyrings/work';
import { at, healthSeen, keySeen, now, ringSeen } from './seen';

const quiet: KeyringMemory = { wantedUntilMs: 0, done: {} };

const jobsOf = (ring: ReturnType<typeof ringSeen>, memory = quiet) =>
  keyringWork(ring, memory, { nowMs: now })
    .jobs.filter(({ scope, kind }) => scope !== null || kind === 'revokeReplaced')
    .map(({ kind, keyId, dueAtMs }) => [kind, keyId, (dueAtMs - now) / 1_000]);

test.each([
  ['well', ringSeen(), []],
  [
    'a refused key: its page at once',
    ringSeen({
      health: [
        healthSeen({
          keyId: '2',
          reason: 'authentication',
          until: at(20),
          nextCheckAt: at(-10),
          evidence: { verify: true },
        }),
      ],
    }),
    [['verifyKey', '2', -10]],
  ],
  [
    'a refused key that is good on its page: after its time',
    ringSeen({
      health: [
        healthSeen({
          keyId: '2',
          reason: 'authentication',
          until: at(20),
          nextCheckAt: at(20),
          evidence: { verify: false },
        }),
      ],
    }),
    [['verifyKey', '2', 22]],
  ],
  [
    'a suspended key: when it is to be looked at, by its page alone',
    ringSeen({
      health: [
        healthSeen({
          keyId: '2',
          state: 'suspended',
          reason: 'keyLimit',
          until: at(9_000),
          nextCheckAt: at(1_800),
        }),
      ],
    }),
    [['verifyKey', '2', 1_800]],
  ],
  [
    'a spent budget: a call when it comes back',
    ringSeen({
      health: [
        healthSeen({
          keyId: '2',
          state: 'suspended',
          reason: 'budgetSpent',
          until: at(600),
          nextCheckAt: at(600),
        }),
      ],
    }),
    [['probeCapacity', '2', 600]],
  ],
  [
    'an account without credit: its balance',
    ringSeen({
      health: [healthSeen({ state: 'suspended', reason: 'credits', nextCheckAt: at(60) })],
    }),
    [['pollAccount', null, 60]],
  ],
  [
    'the same without a management key: a call',
    ringSeen({
      account: { hasManagementKey: false },
      health: [healthSeen({ state: 'suspended', reason: 'credits', nextCheckAt: at(60) })],
    }),
    [['probeCapacity', '1', 60]],
  ],
  [
    'a limited account: a call a little after its time, with a key that is well',
    ringSeen({
      health: [
        healthSeen({ until: at(30), nextCheckAt: at(30) }),
        healthSeen({ keyId: '1', state: 'suspended', reason: 'keyLimit', nextCheckAt: at(99) }),
      ],
    }),
    [
      ['probeCapacity', '2', 32],
      ['verifyKey', '1', 99],
    ],
  ],
  [
    'nobody asks with a paused, revoked or expired key, or one that is suspended itself',
    ringSeen({
      keys: [
        keySeen('1', { standing: 'paused' }),
        keySeen('2', { standing: 'revoked' }),
        keySeen('3', { expiresAt: at(-1) }),
        keySeen('4'),
      ],
      health: [
        healthSeen({ until: at(30) }),
        healthSeen({ keyId: '1', reason: 'authentication', evidence: { verify: true } }),
        healthSeen({ keyId: '4', state: 'suspended', reason: 'keyLimit', nextCheckAt: at(99) }),
      ],
    }),
    [['verifyKey', '4', 99]],
  ],
  [
    'nor with any key of a paused account',
    ringSeen({ account: { standing: 'paused' }, health: [healthSeen({ until: at(30) })] }),
    [],
  ],
  [
    'a rotated key is revoked after ten minutes, a drained one never',
    ringSeen({
      keys: [
        keySeen('1', { standing: 'draining', standingAt: at(-60), replacedBy: '3' }),
        keySeen('2', { standing: 'draining', standingAt: at(-60) }),
        keySeen('3'),
      ],
    }),
    [['revokeReplaced', '1', 540]],
  ],
  [
    'nor one in whose place came a key that is no good',
    ringSeen({
      keys: [
        keySeen('1', { standing: 'draining', standingAt: at(-900), replacedBy: '3' }),
        keySeen('2', { standing: 'draining', standingAt: at(-900), replacedBy: '4' }),
        keySeen('3'),
        keySeen('4', { standing: 'paused' }),
      ],
      health: [
        healthSeen({
          keyId: '3',
          state: 'suspended',
          reason: 'authentication',
          nextCheckAt: at(300),
        }),
      ],
    }),
    [['verifyKey', '3', 300]],
  ],
  [
    'what is of the whole pool is left to one keyring of it',
    ringSeen({
      isFirstOfPool: false,
      health: [
        healthSeen({ scope: 'platform', reason: 'unreachable', until: at(2) }),
        healthSeen({ scope: 'model', model: 'acme/one', until: at(2) }),
        healthSeen({ scope: 'accountModel', model: 'acme/one', until: at(2) }),
      ],
    }),
    [['probeCapacity', '1', 4]],
  ],
])('%s', (_, ring, expected) => {
  expect(jobsOf(ring)).toEqual(expected);
});

test('a balance that was asked for in vain is asked for again, and a call may tell as well', () => {
  const ring = ringSeen({
    health: [healthSeen({ state: 'suspended', reason: 'credits', nextCheckAt: at(-1) })],
  });
  const poll = keyringWork(ring, quiet, { nowMs: now }).jobs.find(({ scope }) => scope !== null);
  const after = (times: number) =>
    jobsOf(ring, { ...quiet, done: { [poll?.id ?? '']: { atMs: now - 600_000, times } } });
  expect(after(1)).toEqual([['pollAccount', null, -1]]);
  expect(after(2)).toEqual([
    ['probeCapacity', '1', -1],
    ['pollAccount', null, -1],
  ]);
});

describe('while somebody waits for a pool without a key', () => {
  const limited = (until: string) =>
    ringSeen({ isPoolDown: true, health: [healthSeen({ until, nextCheckAt: until })] });
  const wanted = { ...quiet, wantedUntilMs: now + 5_000 };
  const urgentOf = (ring: ReturnType<typeof ringSeen>, memory: KeyringMemory) =>
    keyringWork(ring, memory, { nowMs: now }).jobs.find(({ isUrgent }) => isUrgent);

  test('a limited account is asked at once, then ever more rarely', () => {
    const ring = limited(at(1_800));
    const first = urgentOf(ring, wanted);
    expect(first).toMatchObject({ kind: 'probeCapacity', dueAtMs: now });
    const id = first?.id ?? '';
    const pauses = [1, 2, 3, 4, 5].map((times) => {
      const next = urgentOf(ring, { ...wanted, done: { [id]: { atMs: now, times } } });
      return ((next?.dueAtMs ?? 0) - now) / 1_000;
    });
    expect(pauses).toEqual([2, 4, 8, 15, 15]);
  });

  test.each([
    ['nobody waits any more', limited(at(60)), quiet],
    ['another account serves', { ...limited(at(60)), isPoolDown: false }, wanted],
    ['it is the limit of a day', limited(at(5 * 3_600)), wanted],
    [
      'the account is out of credit',
      ringSeen({
        isPoolDown: true,
        health: [healthSeen({ state: 'suspended', reason: 'credits' })],
      }),
      wanted,
    ],
  ])('not when %s', (_, ring, memory) => {
    expect(urgentOf(ring, memory)).toBeUndefined();
  });
});

test('what changes nothing is done ever more rarely, and what is under way not at all', () => {
  const ring = ringSeen({
    health: [
      healthSeen({ keyId: '2', state: 'suspended', reason: 'keyLimit', nextCheckAt: at(0) }),
    ],
  });
  const { id = '' } =
    keyringWork(ring, quiet, { nowMs: now }).jobs.find(({ scope }) => scope === 'key') ?? {};
  const again = (times: number) =>
    jobsOf(ring, { ...quiet, done: { [id]: { atMs: now, times } } }).map(([, , due]) => due);
  expect([1, 2, 3, 20].map(again)).toEqual([[5], [10], [20], [300]]);
  const { jobs } = keyringWork(ring, quiet, { nowMs: now, underWay: new Set([id]) });
  expect(jobs.some((job) => job.id === id)).toBe(false);
});

test('looks by itself every five minutes when all is well, every half minute otherwise', () => {
  const fresh = { limitsAt: at(-1) };
  const keys = [keySeen('1', fresh)];
  const account = { balanceAt: at(-1) };
  const wakes = (ring: ReturnType<typeof ringSeen>) => {
    const { wakeAtMs, why } = keyringWork(ring, quiet, { nowMs: now });
    return [(wakeAtMs - now) / 1_000, why];
  };
  expect(wakes(ringSeen({ account: { balanceAt: at(0) }, keys }))).toEqual([
    300,
    'Account Acme main: what is left of its credit',
  ]);
  const cooling = [healthSeen({ until: at(600), evidence: { status: 429 } })];
  expect(wakes(ringSeen({ account, keys, health: cooling }))).toEqual([
    30,
    'Account Acme main cools until 12:10:00 UTC: 429, the vendor limits the account; until the next look',
  ]);
  const soon = [
    healthSeen({ until: at(10), evidence: { status: 429, resetsAt: now + 10_000 } }),
    healthSeen({ keyId: '1', until: at(600) }),
  ];
  expect(wakes(ringSeen({ account, keys, health: soon }))).toEqual([
    12,
    'Account Acme main cools until 12:00:10 UTC: 429, the vendor limits the account (X-RateLimit-Reset) (and 1 more)',
  ]);
});

test.each([
  ['daily', '2026-11-21T12:00:00Z', '2026-11-22T00:00:00Z'],
  ['weekly', '2026-11-21T12:00:00Z', '2026-11-23T00:00:00Z'],
  ['weekly', '2026-11-22T23:59:59Z', '2026-11-23T00:00:00Z'],
  ['weekly', '2026-11-23T00:00:00Z', '2026-11-30T00:00:00Z'],
  ['monthly', '2026-12-31T12:00:00Z', '2027-01-01T00:00:00Z'],
] as const)('a %s limit of %s comes back at %s', (reset, from, to) => {
  expect(new Date(nextLimitReset(reset, Date.parse(from))).toISOString()).toBe(
    to.replace('Z', '.000Z'),
  );
});

describe('how long a credit lasts', () => {
  const hour = 3_600_000;

  test('is told by what was spent of it, and not by what was paid in', () => {
    const samples = [10, 9, 109, 108].map((dollars, n) => ({
      atMs: n * hour,
      leftMicros: dollars * 1_000_000,
    }));
    // Two dollars in three hours.
    expect(lastsMs(samples)).toBe(162 * hour);
    expect(warningOf(162 * hour)).toBe('7 d');
    expect(warningOf(169 * hour)).toBeNull();
    expect(lastsMs(samples.slice(0, 1))).toBeNull();
    expect(lastsMs([samples[1], samples[2]].filter((one) => one !== undefined))).toBeNull();
  });

  test('takes a day into account, in so many samples at most', () => {
    let samples: { atMs: number; leftMicros: number }[] = [];
    for (let n = 0; n < 2_000; n += 1) {
      samples = withSample(samples, { atMs: n * 60_000, leftMicros: 1e9 - n * 1_000 });
    }
    expect(samples.length).toBeLessThanOrEqual(60);
    expect(samples.at(-1)?.atMs).toBe(1_999 * 60_000);
    expect(1_999 * 60_000 - (samples[0]?.atMs ?? 0)).toBeLessThanOrEqual(24 * hour);
    expect(lastsMs(samples)).toBeCloseTo(((1e9 - 1_999_000) / 1_000) * 60_000, -3);
    expect(withSample(samples, { atMs: 5, leftMicros: 1 })).toEqual(samples);
  });
});
