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

test('a probe that is the first to be refused asks once more before it suspends', () => {
  for (const current of [null, after(null, tripped('key', t0 - 10_000))]) {
    const first = after(current, failed('authentication', { actor: byProbe }));
    expect(first).toMatchObject({
      state: 'cooling',
      reason: 'authentication',
      nextCheckAt: t0,
      evidence: { verify: true },
    });
    const again = failed('authentication', { at: t0 + 100, actor: byProbe });
    expect(after(first, again)).toMatchObject({ state: 'suspended', reason: 'authentication' });
  }
});

function tripped(scope: 'key' | 'model' | 'platform', at: number): HealthEvent {
  const subject = subjectIn(scope, call);
  return { type: 'tripped', kind: 'serverError', subject, at, actor: byCall, evidence: {} };
}

describe('when keys are refused at the same time', () => {
  const platform = subjectIn('platform', call);
  const platformId = subjectId(platform);
  const six = ['a', 'b', 'c', 'd', 'e', 'f'];

  function poolOf(keyIds: string[]) {
    const rows = new Map<string, Health>();
    const apply = (event: HealthEvent) => applyToPool(rows, event, { keyIds: new Set(keyIds) });
    const idOf = (keyId: string) => subjectId(subjectIn('key', { ...call, keyId }));
    return {
      rows,
      apply,
      refuse: (keyId: string, at: number, actor: HealthEvent['actor'] = byCall) =>
        apply(failed('authentication', { keyId, at, actor })),
      getsThrough: (at: number, actor: HealthEvent['actor'] = byCall) =>
        apply({ type: 'recovered', subject: platform, at, actor }),
      key: (keyId: string) => rows.get(idOf(keyId)),
      states: () =>
        keyIds.flatMap((keyId) => {
          const row = rows.get(idOf(keyId));
          return row === undefined ? [] : [`${keyId} ${row.state}`];
        }),
      incident: () => rows.get(platformId),
    };
  }

  test('more than half of them may be the platform: each cools by itself, and the others serve', () => {
    const pool = poolOf(six);
    for (const [index, keyId] of ['a', 'b', 'c', 'd'].entries()) {
      pool.refuse(keyId, t0 + index * 1_000);
    }
    expect(pool.states()).toEqual(['a cooling', 'b cooling', 'c cooling', 'd cooling']);
    expect(pool.key('a')?.until).toBe(t0 + 30 * second);
    // A platform that drains holds nothing back.
    expect(pool.incident()).toMatchObject({
      state: 'draining',
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
    const pool = poolOf(keyIds);
    refused.forEach((keyId, index) => pool.refuse(keyId, t0 + index * everyMs));
    expect(pool.incident()).toBeUndefined();
    expect(pool.rows.size).toBe(new Set(refused).size);
  });

  test('none is suspended while nobody gets through, however long that takes', () => {
    const pool = poolOf(six);
    for (const [index, keyId] of six.entries()) {
      pool.refuse(keyId, t0 + index);
    }
    // Each is asked about and tried again when it has cooled, for an hour.
    for (let at = t0 + 31_000; at < t0 + hour; at += 31_000) {
      for (const [index, keyId] of six.entries()) {
        pool.refuse(keyId, at + index, index % 2 === 0 ? byProbe : byCall);
        expect(pool.key(keyId)).toMatchObject({
          state: 'cooling',
          until: at + index + 30 * second,
          nextCheckAt: at + index + 30 * second,
        });
      }
      expect(pool.incident()?.since).toBe(t0 + 3);
    }
    expect(pool.states()).toHaveLength(6);
  });

  test('those that a probe suspended just before are taken back', () => {
    const pool = poolOf(['a', 'b', 'c']);
    pool.refuse('a', t0);
    pool.refuse('a', t0 + 100, byProbe);
    expect(pool.states()).toEqual(['a suspended']);
    const changes = pool.refuse('b', t0 + 20_000);
    expect(pool.states()).toEqual(['a cooling', 'b cooling']);
    expect(changes.map(({ subject, to }) => [subject.keyId, to?.state])).toEqual([
      ['b', 'cooling'],
      ['a', 'cooling'],
      [null, 'draining'],
    ]);
  });

  test.each([['a call', byCall] as const, ['a probe', byProbe] as const])(
    '%s that gets through ends it, the dead are suspended, and it never begins anew',
    (_, actor) => {
      const pool = poolOf(['a', 'b', 'c']);
      pool.refuse('a', t0);
      pool.refuse('b', t0 + 2_000);
      expect(pool.incident()).toBeDefined();
      pool.getsThrough(t0 + 2_100, actor);
      expect(pool.incident()).toBeUndefined();
      pool.refuse('a', t0 + 2_200, byProbe);
      pool.refuse('b', t0 + 2_300, byProbe);
      expect(pool.states()).toEqual(['a suspended', 'b suspended']);
      // Looked at together from then on.
      for (let at = t0 + hour; at < t0 + 24 * hour; at += 6 * hour) {
        pool.refuse('a', at, byProbe);
        pool.refuse('b', at + 1_000, byProbe);
      }
      expect(pool.incident()).toBeUndefined();
      expect(pool.states()).toEqual(['a suspended', 'b suspended']);
    },
  );

  test('keys that are dead and only tried by calls make no incident after the first', () => {
    const pool = poolOf(['a', 'b', 'c']);
    pool.refuse('a', t0);
    pool.refuse('b', t0 + 1);
    pool.getsThrough(t0 + 2);
    for (let at = t0 + 30_000; at < t0 + hour; at += 30_000) {
      pool.refuse('a', at);
      pool.refuse('b', at + 1);
    }
    expect(pool.incident()).toBeUndefined();
  });

  test('it is over a minute after the last one was refused', () => {
    const pool = poolOf(['a', 'b']);
    pool.refuse('a', t0);
    pool.refuse('b', t0);
    pool.refuse('a', t0 + minute, byProbe);
    expect(pool.states()).toEqual(['a suspended', 'b cooling']);
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
