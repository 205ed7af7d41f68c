import { failureKinds, type FailureKind } from '../../../domain/llm/failures';
import {
  subjectId,
  subjectIn,
  subjectOf,
  transition,
  type Health,
  type HealthEvent,
} from '../../../domain/llm/health';
import { applyToPool } from '../../../domain/llm/poolHealth';

const t0 = Date.UTC(2026, 10, 21, 12);
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const call = { accountId: 'account', keyId: 'key', model: 'maker/large' };

const byCall = { kind: 'call', id: null } as const;
const byProbe = { kind: 'probe', id: null } as const;

function failed(
  kind: FailureKind,
  more: {
    at?: number;
    retryAfterMs?: number;
    resetsAt?: number;
    isFreeClass?: boolean;
    actor?: HealthEvent['actor'];
    keyId?: string;
  } = {},
): HealthEvent {
  const { keyId = call.keyId, isFreeClass = false } = more;
  const subject = subjectOf({ kind, isFreeClass }, { ...call, keyId });
  if (subject === null) {
    throw new Error(`${kind} is nobody's`);
  }
  return {
    type: 'failed',
    subject,
    kind,
    at: more.at ?? t0,
    actor: more.actor ?? byCall,
    retryAfterMs: more.retryAfterMs ?? null,
    resetsAt: more.resetsAt ?? null,
    evidence: {},
  };
}

function after(current: Health | null, event: HealthEvent): Health {
  const next = transition(current, event);
  if (next === null || next === 'unchanged') {
    throw new Error(`it is ${next ?? 'well'}`);
  }
  return next;
}

const monthly = t0 + 9 * 24 * hour;

// [kind, what the vendor says, scope, state, until after, next check after]
const rows: [
  FailureKind,
  { retryAfterMs?: number; resetsAt?: number; isFreeClass?: boolean },
  string,
  string,
  number | null,
  number,
][] = [
  ['authentication', {}, 'key', 'cooling', 30 * second, 0],
  ['authentication', { retryAfterMs: hour }, 'key', 'cooling', 30 * second, 0],
  ['keyLimit', {}, 'key', 'suspended', null, 0],
  ['keyLimit', { resetsAt: monthly }, 'key', 'suspended', monthly - t0, 0],
  ['budgetSpent', { resetsAt: monthly }, 'key', 'suspended', monthly - t0, monthly - t0],
  ['budgetSpent', {}, 'key', 'suspended', null, 5 * minute],
  ['credits', {}, 'account', 'suspended', null, minute],
  ['inFlightBudget', { retryAfterMs: 3_000 }, 'account', 'cooling', 3_000, 3_000],
  ['inFlightBudget', {}, 'account', 'cooling', 2_000, 2_000],
  ['tokenLimit', {}, 'account', 'draining', null, minute],
  ['platformRateLimit', { resetsAt: t0 + 7 * hour }, 'account', 'cooling', 7 * hour, 7 * hour],
  ['platformRateLimit', {}, 'account', 'cooling', 10 * second, 10 * second],
  [
    'platformRateLimit',
    { isFreeClass: true, resetsAt: t0 + hour },
    'accountModel',
    'cooling',
    hour,
    hour,
  ],
  ['notPermitted', {}, 'accountModel', 'cooling', 24 * hour, 24 * hour],
  ['modelUnavailable', {}, 'model', 'cooling', 10 * minute, 10 * minute],
  ['upstreamRateLimit', { retryAfterMs: 40_000 }, 'model', 'cooling', 40_000, 40_000],
  ['upstreamRateLimit', {}, 'model', 'cooling', 5 * second, 5 * second],
  ['edgeRateLimit', {}, 'platform', 'draining', 30 * second, 30 * second],
];

test.each(rows)('%s %j puts the %s to %s', (kind, said, scope, state, untilMs, checkMs) => {
  const health = after(null, failed(kind, said));
  expect(health.subject.scope).toBe(scope);
  expect(health).toMatchObject({
    state,
    reason: kind,
    until: untilMs === null ? null : t0 + untilMs,
    nextCheckAt: t0 + checkMs,
    failures: 1,
    since: t0,
  });
});

test('leaves the health of all alone where the request or nobody is to blame, or one failure says too little', () => {
  const touching = new Set(rows.map(([kind]) => kind));
  const kinds = Object.keys(failureKinds).filter(
    (kind): kind is FailureKind => kind in failureKinds,
  );
  const others = kinds.filter((kind) => !touching.has(kind));
  expect(others.toSorted()).toEqual([
    'brokenAnswer',
    'cancelled',
    'contextLength',
    'emptyAnswer',
    'exceedsBalance',
    'firstTokenTimeout',
    'invalidRequest',
    'moderation',
    'refused',
    'schemaMismatch',
    'serverError',
    'timeout',
    'unreachable',
  ]);
  for (const kind of others) {
    expect(subjectOf({ kind, isFreeClass: false }, call)).toBeNull();
  }
});

test('keeps the longer of two times, whichever was named first', () => {
  const short = after(null, failed('upstreamRateLimit', { retryAfterMs: 5_000 }));
  const long = after(short, failed('upstreamRateLimit', { at: t0 + 100, retryAfterMs: 60_000 }));
  expect(long.until).toBe(t0 + 100 + 60_000);
  expect(transition(long, failed('upstreamRateLimit', { at: t0 + 200, retryAfterMs: 5_000 }))).toBe(
    'unchanged',
  );
});

test('learns nothing new from calls that were under way when it began to cool', () => {
  const cooling = after(null, failed('platformRateLimit'));
  expect(transition(cooling, failed('platformRateLimit', { at: t0 + 900 }))).toBe('unchanged');
});

test('cools twice as long after each failed trial, up to a bound', () => {
  let health = after(null, failed('upstreamRateLimit'));
  const lengths = [];
  for (let n = 0; n < 6; n++) {
    const at = health.until ?? 0;
    health = after(health, failed('upstreamRateLimit', { at }));
    lengths.push((health.until ?? 0) - at);
  }
  expect(lengths).toEqual([10, 20, 40, 60, 60, 60].map((seconds) => seconds * second));
  expect(health.failures).toBe(7);
});

test('heeds a time of the vendor beyond its own bound, and no time beyond a month', () => {
  expect(after(null, failed('upstreamRateLimit', { retryAfterMs: 20 * hour })).until).toBe(
    t0 + 20 * hour,
  );
  expect(after(null, failed('platformRateLimit', { resetsAt: t0 * 1_000 })).until).toBe(
    t0 + 32 * 24 * hour,
  );
  expect(after(null, failed('upstreamRateLimit', { resetsAt: t0 - hour })).until).toBe(
    t0 + 5 * second,
  );
});

test('is well after a success, unless something worse was learned after it', () => {
  const cooling = after(null, failed('upstreamRateLimit'));
  const { subject } = cooling;
  const recovered = { type: 'recovered', subject, actor: byCall } as const;
  expect(transition(cooling, { ...recovered, at: t0 + 6_000 })).toBeNull();
  expect(transition(cooling, { ...recovered, at: t0 - 1 })).toBe('unchanged');
  expect(transition(null, { ...recovered, at: t0 })).toBe('unchanged');
});

test.each(['credits', 'keyLimit', 'budgetSpent', 'tokenLimit'] as const)(
  'no call that succeeds lifts %s: a probe, a person and its end do',
  (kind) => {
    const bound = after(null, failed(kind));
    const { subject } = bound;
    const recovered = { type: 'recovered', subject, at: t0 + 1_000 } as const;
    expect(transition(bound, { ...recovered, actor: byCall })).toBe('unchanged');
    for (const actor of ['probe', 'user', 'timer'] as const) {
      expect(transition(bound, { ...recovered, actor: { kind: actor, id: null } })).toBeNull();
    }
  },
);

test('what a probe answers to is lifted or looked at, and nothing that came since', () => {
  const refused = after(null, failed('authentication'));
  const spent = after(refused, failed('budgetSpent', { at: t0 + 500 }));
  const { subject } = refused;
  const answer = { subject, at: t0 + 1_000, actor: byProbe } as const;
  for (const type of ['recovered', 'checked'] as const) {
    const event =
      type === 'recovered' ? { ...answer, type } : { ...answer, type, nextCheckAt: null };
    for (const about of [
      { reason: 'authentication', since: t0 },
      { reason: 'budgetSpent', since: t0 },
      null,
    ]) {
      expect(transition(spent, { ...event, about })).toBe('unchanged');
    }
    const about = { reason: 'budgetSpent', since: t0 + 500 };
    expect(transition(spent, { ...event, about })).not.toBe('unchanged');
  }
});

test('does not lift a suspension for a lesser failure, and suspends what is cooling', () => {
  const suspended = after(null, failed('keyLimit'));
  expect(transition(suspended, failed('authentication', { at: t0 + 1 }))).toBe('unchanged');
  const cooling = after(null, failed('inFlightBudget', { retryAfterMs: 5_000 }));
  expect(after(cooling, failed('credits', { at: t0 + 1 }))).toMatchObject({
    state: 'suspended',
    until: null,
  });
  const drained = transition(cooling, failed('tokenLimit', { at: t0 + 1 }));
  expect(drained).toBe('unchanged');
});

test('suspends a key that a probe finds refused too, and looks again later and later', () => {
  let health = after(null, failed('authentication'));
  expect(health.evidence).toMatchObject({ verify: true });
  const waits = [];
  for (let n = 0; n < 4; n++) {
    const at = health.nextCheckAt ?? 0;
    health = after(health, failed('authentication', { at, actor: byProbe }));
    expect(health).toMatchObject({ state: 'suspended', reason: 'authentication', until: null });
    waits.push((health.nextCheckAt ?? 0) - at);
  }
  expect(waits).toEqual([5 * minute, 30 * minute, 6 * hour, 6 * hour]);
});

test('writes down what a look found where the state stays', () => {
  const limited = after(null, failed('keyLimit'));
  const { subject } = limited;
  const checked = { type: 'checked', subject, at: t0 + 1, actor: byProbe } as const;
  expect(
    transition(limited, { ...checked, until: monthly, nextCheckAt: monthly, evidence: { a: 1 } }),
  ).toMatchObject({ state: 'suspended', until: monthly, nextCheckAt: monthly, evidence: { a: 1 } });
  expect(transition(null, { ...checked, nextCheckAt: null })).toBe('unchanged');
});

test.each([
  ['key', [30, 60, 120, 240, 300]],
  ['model', [5, 10, 20, 40, 60]],
  ['platform', [2, 2, 2, 2, 2]],
] as const)('cools a %s whose breaker opened for %j s in turn', (scope, expected) => {
  const subject = subjectIn(scope, call);
  let health: Health | null = null;
  let at = t0;
  const lengths = [];
  for (const _ of expected) {
    health = after(health, {
      type: 'tripped',
      kind: 'serverError',
      subject,
      at,
      actor: byCall,
      evidence: {},
    });
    lengths.push(((health.until ?? 0) - at) / second);
    at = health.until ?? 0;
  }
  expect(lengths).toEqual(expected);
});

describe('when keys are refused at the same time', () => {
  const platformId = subjectId(subjectIn('platform', call));

  function refuse(keyIds: string[], refused: string[], everyMs = 1_000) {
    const rows = new Map<string, Health>();
    refused.forEach((keyId, index) => {
      const event = failed('authentication', { keyId, at: t0 + index * everyMs });
      applyToPool(rows, event, { keyIds: new Set(keyIds) });
    });
    return rows;
  }

  const six = ['a', 'b', 'c', 'd', 'e', 'f'];

  test('more than half of them are the platform, and none of them is at fault', () => {
    const rows = refuse(six, ['a', 'b', 'c', 'd']);
    expect([...rows.keys()]).toEqual([platformId]);
    expect(rows.get(platformId)).toMatchObject({
      state: 'cooling',
      reason: 'authentication',
      until: t0 + 3_000 + minute,
    });
  });

  test.each([
    ['half of them', six, ['a', 'b', 'c'], 1_000],
    ['the only one', ['a'], ['a'], 1_000],
    ['more than half, but not within a minute', six, ['a', 'b', 'c', 'd'], 25_000],
    ['one of them again and again', six, ['a', 'a', 'a', 'a', 'a'], 40_000],
  ])('%s are themselves at fault', (_, keyIds, refused, everyMs) => {
    const rows = refuse(keyIds, refused, everyMs);
    expect(rows.has(platformId)).toBe(false);
    expect(rows.size).toBe(new Set(refused).size);
  });

  test('a probe suspends none while it lasts, and a trial that is refused makes it last', () => {
    const rows = refuse(six, ['a', 'b', 'c', 'd']);
    const keyIds = new Set(six);
    applyToPool(rows, failed('authentication', { at: t0 + 10_000, actor: byProbe }), { keyIds });
    applyToPool(rows, failed('authentication', { at: t0 + 2 * minute }), { keyIds });
    expect([...rows.keys()]).toEqual([platformId]);
    expect(rows.get(platformId)?.until).toBe(t0 + 3 * minute);
    applyToPool(
      rows,
      {
        type: 'recovered',
        subject: subjectIn('platform', call),
        at: t0 + 3 * minute,
        actor: byCall,
      },
      { keyIds },
    );
    expect(rows.size).toBe(0);
  });
});

test('keeps a free limit apart from the paid models of its account', () => {
  const free = failed('platformRateLimit', { isFreeClass: true }).subject;
  expect(free).toEqual({
    scope: 'accountModel',
    accountId: 'account',
    keyId: null,
    model: ':free',
  });
  expect(subjectId(free)).not.toBe(subjectId(failed('platformRateLimit').subject));
});
