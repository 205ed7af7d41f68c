import { failureKinds, type FailureKind, type LlmFailure } from '../../../domain/llm/failures';
import {
  nextSteps,
  reactions,
  type FailedAttempt,
  type Prospects,
} from '../../../domain/llm/reactions';

const at = { now: 1_000_000, random: 0.5 };

function failure(kind: FailureKind, values: Partial<LlmFailure> = {}): LlmFailure {
  return {
    kind,
    scope: failureKinds[kind],
    status: 500,
    message: kind,
    vendorCode: null,
    retryAfterMs: null,
    resetsAt: null,
    isFreeClass: false,
    fallbackModels: [],
    hadBegun: false,
    ...values,
  };
}

function failed(kind: FailureKind, values: Partial<FailedAttempt> = {}): FailedAttempt {
  return {
    keyId: 'north-1',
    accountId: 'north',
    poolId: 'pool',
    model: 'a/main',
    way: 'first',
    failure: failure(kind),
    ...values,
  };
}

function prospects(values: Partial<Prospects>): Prospects {
  return {
    failed: [],
    otherModels: [],
    largerModel: null,
    modelDownUntil: null,
    canTrim: true,
    canLowerTokens: true,
    isShown: false,
    deadlineAt: at.now + 30_000,
    ...values,
  };
}

/** The next steps as one word each: way, model, key and what is left out. */
function told(values: Partial<Prospects>): string[] {
  return nextSteps(prospects(values), at).map(({ way, model, onlyKey, withoutAccounts, waitMs }) =>
    [
      way,
      model,
      onlyKey ?? '',
      [...withoutAccounts].map((account) => `not ${account}`).join(','),
      waitMs > 0 ? `after ${waitMs}` : '',
    ]
      .filter((part) => part !== '')
      .join(' '),
  );
}

test.each<[FailureKind, string[]]>([
  ['invalidRequest', []],
  ['contextLength', ['largerModel c/large north-1', 'trimmed a/main north-1']],
  ['refused', []],
  ['moderation', []],
  ['schemaMismatch', ['repaired a/main north-1', 'repaired a/main']],
  ['authentication', ['otherKey a/main']],
  ['keyLimit', ['otherKey a/main']],
  ['budgetSpent', ['otherKey a/main']],
  ['credits', ['otherAccount a/main not north', 'otherAccount a/main not north']],
  [
    'inFlightBudget',
    [
      'otherAccount a/main not north',
      'otherAccount a/main not north',
      'sameKeyLater a/main north-1 after 1020',
      'accountLater a/main',
      'accountLater a/main north-1',
    ],
  ],
  [
    'exceedsBalance',
    [
      'otherAccount a/main not north',
      'otherAccount a/main not north',
      'fewerTokens a/main north-1',
    ],
  ],
  [
    'tokenLimit',
    [
      'fewerTokens a/main north-1',
      'otherAccount a/main not north',
      'otherAccount a/main not north',
    ],
  ],
  [
    'platformRateLimit',
    [
      'otherAccount a/main not north',
      'otherAccount a/main not north',
      'accountLater a/main',
      'accountLater a/main north-1',
    ],
  ],
  [
    'notPermitted',
    [
      'otherModel b/other',
      'otherModel b/other',
      'otherAccount a/main not north',
      'otherAccount a/main not north',
    ],
  ],
  ['modelUnavailable', ['otherModel b/other', 'otherModel b/other']],
  [
    'upstreamRateLimit',
    ['sameKeyLater a/main north-1 after 1020', 'otherModel b/other', 'otherModel b/other'],
  ],
  [
    'timeout',
    [
      'otherKeyOnce a/main not north',
      'otherKeyOnce a/main',
      'otherModel b/other not north',
      'otherModel b/other',
      'otherModel b/other',
      'sameKeyOnce a/main north-1',
    ],
  ],
  [
    'serverError',
    [
      'sameKeySoon a/main north-1 after 400',
      'otherModel b/other',
      'otherModel b/other',
      'otherAccount a/main not north',
    ],
  ],
  [
    'emptyAnswer',
    [
      'otherKeyOnce a/main',
      'otherModel b/other',
      'otherModel b/other',
      'sameKeyOnce a/main north-1',
    ],
  ],
  [
    'edgeRateLimit',
    [
      'anyKeyLater a/main not north after 400',
      'anyKeyLater a/main after 400',
      'anyKeyLater a/main north-1 after 400',
    ],
  ],
  [
    'unreachable',
    [
      'otherAccount a/main not north',
      'otherKey a/main not north',
      'otherKey a/main',
      'sameKeyNow a/main north-1',
    ],
  ],
  ['cancelled', []],
])('after %s', (kind, steps) => {
  expect(
    told({ failed: [failed(kind)], otherModels: ['b/other', 'c/large'], largerModel: 'c/large' }),
  ).toEqual(steps);
});

test('a limit of free models lets paid ones be asked with the keys of the account', () => {
  const free = failed('platformRateLimit', {
    model: 'a/main:free',
    failure: failure('platformRateLimit', { isFreeClass: true }),
  });
  expect(told({ failed: [free], otherModels: ['b/other:free', 'c/large'] })).toEqual([
    'otherAccount a/main:free not north',
    'otherAccount a/main:free not north',
    'paidModel c/large',
    'paidModel c/large',
    'accountLater a/main:free',
    'accountLater a/main:free north-1',
  ]);
});

test('no key that was asked is asked again, but for what is repaired or only needs time', () => {
  const both = [failed('authentication'), failed('authentication', { keyId: 'north-2' })];
  const [step] = nextSteps(prospects({ failed: both }), at);
  expect([...(step?.withoutKeys ?? [])]).toEqual(['north-1', 'north-2']);
});

test('no key is asked three times', () => {
  const twice = [
    failed('serverError'),
    failed('serverError', { way: 'sameKeySoon' }),
    failed('schemaMismatch', { way: 'otherModel', model: 'b/other', keyId: 'south-1' }),
  ];
  expect(told({ failed: [...twice, failed('unreachable', { way: 'otherKey' })] })).not.toContain(
    'sameKeyNow a/main north-1',
  );
  const [, again] = nextSteps(
    prospects({ failed: twice.slice(0, 2), otherModels: ['b/other'] }),
    at,
  );
  expect([...(again?.withoutKeys ?? [])]).toEqual(['north-1']);
});

test('four attempts that count are all, and refusals at the door do not count', () => {
  const doors = ['1', '2', '3', '4', '5'].map((n) => failed('authentication', { keyId: n }));
  expect(told({ failed: doors })).toEqual(['otherKey a/main']);
  const counted = ['1', '2', '3', '4'].map((n) => failed('timeout', { keyId: n, way: 'otherKey' }));
  const others = ['b/other'];
  expect(told({ failed: counted.slice(0, 3), otherModels: others })).not.toEqual([]);
  expect(told({ failed: counted, otherModels: others })).toEqual([]);
});

test.each(['timeout', 'firstTokenTimeout', 'emptyAnswer', 'brokenAnswer'] as const)(
  'after %s a model is tried once more, by the same key where there is no other',
  (kind) => {
    const last = told({ failed: [failed(kind)] }).at(-1);
    expect(last).toBe('sameKeyOnce a/main north-1');
    const again = failed(kind, { way: 'sameKeyOnce' });
    const ways = told({ failed: [failed(kind), again] });
    expect(ways.filter((way) => way.startsWith('sameKey'))).toEqual([]);
  },
);

test.each(['timeout', 'emptyAnswer'] as const)('after a second %s a model is given up', (kind) => {
  const elsewhere = failed(kind, { keyId: 'south-1', accountId: 'south', way: 'otherKeyOnce' });
  expect(told({ failed: [failed(kind), elsewhere] })).toEqual([]);
});

test.each(['firstTokenTimeout', 'brokenAnswer'] as const)(
  'after a second %s other keys are asked, up to four attempts',
  (kind) => {
    const keys = ['1', '2', '3', '4'].map((n) => failed(kind, { keyId: n, way: 'otherKey' }));
    expect(told({ failed: keys.slice(0, 3) })).not.toEqual([]);
    expect(told({ failed: keys })).toEqual([]);
  },
);

test('what is repaired once is not repaired again', () => {
  expect(
    told({ failed: [failed('contextLength'), failed('contextLength', { way: 'trimmed' })] }),
  ).toEqual([]);
  expect(
    told({ failed: [failed('schemaMismatch'), failed('schemaMismatch', { way: 'repaired' })] }),
  ).toEqual([]);
});

test('a model that is told to be busy for long is not waited for', () => {
  const busy = failed('upstreamRateLimit', {
    failure: failure('upstreamRateLimit', { retryAfterMs: 30_000 }),
  });
  expect(told({ failed: [busy], otherModels: ['b/other'] })).toEqual([
    'otherModel b/other',
    'otherModel b/other',
  ]);
  expect(told({ failed: [failed('upstreamRateLimit')], modelDownUntil: at.now + 5_000 })).toEqual(
    [],
  );
});

test('a third failure to connect ends the request', () => {
  const keys = ['1', '2', '3'].map((n) => failed('unreachable', { keyId: n, way: 'otherKey' }));
  expect(told({ failed: keys.slice(0, 2) })).not.toEqual([]);
  expect(told({ failed: keys })).toEqual([]);
});

test('nothing waits past the deadline, and nothing follows what was shown', () => {
  const soon = { failed: [failed('serverError')], deadlineAt: at.now + 300 };
  expect(told(soon)).toEqual(['otherAccount a/main not north']);
  expect(told({ failed: [failed('brokenAnswer')], isShown: true })).toEqual([]);
});

test('every kind has its reaction', () => {
  expect(Object.keys(reactions).toSorted()).toEqual(Object.keys(failureKinds).toSorted());
});
