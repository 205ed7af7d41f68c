import {
  isIncident,
  subjectIn,
  transition,
  type Health,
  type HealthEvent,
} from '../../../../domain/llm/health';
import {
  askedAbout,
  learnedFromBalance,
  learnedFromPage,
  wellSince,
} from '../../../../domain/llm/keyrings/learned';
import { applyToPool } from '../../../../domain/llm/poolHealth';
import type { FailureKind } from '../../../../domain/llm/failures';

const t0 = Date.UTC(2026, 10, 21, 12);
const ids = { accountId: 'account', keyId: 'key', model: '' };
const goodPage = { limitRemainingMicros: 5_000_000, limitReset: null } as const;

function fail(scope: 'key' | 'account', kind: FailureKind, at = t0): Health {
  const next = transition(null, {
    type: 'failed',
    subject: subjectIn(scope, ids),
    kind,
    at,
    actor: { kind: 'call', id: null },
    retryAfterMs: null,
    resetsAt: null,
    evidence: {},
  });
  if (next === null || next === 'unchanged') {
    throw new Error(`${kind} changes nothing`);
  }
  return next;
}

function after(health: Health, events: readonly HealthEvent[]): Health | null {
  return events.reduce<Health | null>((current, event) => {
    const next = transition(current, event);
    return next === 'unchanged' ? current : next;
  }, health);
}

const ofKey = { ...ids, scope: 'key', model: null } as const;

test.each([
  ['authentication', true],
  ['keyLimit', true],
  ['budgetSpent', false],
] as const)('the page of a key that is fine ends %s: %s', (kind, isEnded) => {
  const health = fail('key', kind);
  const order = { ...ofKey, ...askedAbout(ofKey, [health]) };
  expect(after(health, learnedFromPage(order, goodPage, t0 + 1_000)) === null).toBe(isEnded);
});

test.each([
  ['credits', true],
  ['tokenLimit', true],
  ['inFlightBudget', false],
] as const)('a balance that is above its floor ends %s: %s', (kind, isEnded) => {
  const health = fail('account', kind);
  const of = { accountId: 'account', scope: 'account' } as const;
  const order = { ...of, ...askedAbout(of, [health]) };
  const learned = learnedFromBalance(order, { leftMicros: 5_000_000, sentAt: t0 + 1_000 });
  expect(after(health, learned) === null).toBe(isEnded);
});

test('an answer that comes late leaves alone what the key was refused for meanwhile', () => {
  const asked = { ...ofKey, ...askedAbout(ofKey, [fail('key', 'authentication')]) };
  const now = fail('key', 'keyLimit', t0 + 900);
  // The clocks of two processes differ by more than what was between.
  expect(after(now, learnedFromPage(asked, goodPage, t0 + 1_000))).toBe(now);
  const wellThen = { ...ofKey, ...askedAbout(ofKey, []) };
  expect(after(now, learnedFromPage(wellThen, goodPage, t0 + 1_000))).toBe(now);
});

test('a page that shows a spent limit suspends a key that was asked about for another reason', () => {
  const refused = fail('key', 'authentication');
  const asked = { ...ofKey, ...askedAbout(ofKey, [refused]) };
  const page = { limitRemainingMicros: 0, limitReset: 'daily' } as const;
  expect(after(refused, learnedFromPage(asked, page, t0 + 1_000))).toMatchObject({
    state: 'suspended',
    reason: 'keyLimit',
    until: Date.UTC(2026, 10, 22),
    nextCheckAt: t0 + 1_000 + 30 * 60_000,
  });
});

test.each(['key', 'platform', null] as const)(
  'a page that answers ends the incident that was under way, asked about %s',
  (scope) => {
    const rows = new Map<string, Health>();
    for (const keyId of ['key', 'other']) {
      applyToPool(
        rows,
        {
          type: 'failed',
          kind: 'authentication',
          subject: subjectIn('key', { ...ids, keyId }),
          at: t0,
          actor: { kind: 'call', id: null },
          retryAfterMs: null,
          resetsAt: null,
          evidence: {},
        },
        { keyIds: new Set(['key', 'other']) },
      );
    }
    const incident = [...rows.values()].find(isIncident);
    expect(incident).toBeDefined();
    const order = { ...ids, scope, model: null };
    const asked = { ...order, ...askedAbout(order, [...rows.values()]) };
    for (const page of [goodPage, { ...goodPage, limitRemainingMicros: 0 }]) {
      const learned = learnedFromPage(asked, page, t0 + 1_000);
      const ofPlatform = learned.filter(({ subject }) => subject.scope === 'platform');
      expect(incident && after(incident, ofPlatform)).toBeNull();
      const later = incident && { ...incident, since: t0 + 500 };
      expect(later && after(later, ofPlatform)).toBe(later);
    }
  },
);

const pageWith = (limitRemainingMicros: number) => ({ limitRemainingMicros, limitReset: null });

test('a little that was left when a call was refused is no reason to let the next one be', () => {
  const health = fail('key', 'keyLimit');
  const ask = (row: Health, left: number, at: number) =>
    after(row, learnedFromPage({ ...ofKey, ...askedAbout(ofKey, [row]) }, pageWith(left), at));
  const still = ask(health, 300, t0 + 1_000);
  expect(still).toMatchObject({ state: 'suspended', nextCheckAt: t0 + 1_000 + 5 * 60_000 });
  expect(ask(still ?? health, 300, t0 + 2_000)).not.toBeNull();
  // It was raised, or began anew.
  expect(ask(still ?? health, 301, t0 + 2_000)).toBeNull();
  expect(ask(health, 10_000, t0 + 1_000)).toBeNull();

  const account = fail('account', 'credits');
  const of = { accountId: 'account', scope: 'account' } as const;
  const order = { ...of, ...askedAbout(of, [account]) };
  const poll = (leftMicros: number) =>
    after(account, learnedFromBalance(order, { leftMicros, sentAt: t0 + 1_000 }));
  expect(poll(300)).toMatchObject({ state: 'suspended', reason: 'credits' });
  expect(poll(10_000)).toBeNull();
});

test.each([
  [2, 5],
  [3, 30],
  [9, 30],
])(
  'what is refused for the %dth time in a while rests %d minutes, whatever its page says',
  (rounds, minutes) => {
    const health = fail('key', 'keyLimit');
    const order = { ...ofKey, ...askedAbout(ofKey, [health]), rounds };
    const endsAt = t0 + minutes * 60_000;
    expect(after(health, learnedFromPage(order, goodPage, endsAt))).toBeNull();
    const early = after(health, learnedFromPage(order, goodPage, endsAt - 1));
    expect(early?.nextCheckAt).toBe(endsAt);

    const drained = fail('account', 'tokenLimit');
    const of = { ...ids, model: null, scope: 'account' } as const;
    const asked = { ...of, ...askedAbout(of, [drained]), rounds };
    expect(after(drained, [wellSince(asked, endsAt)])).toBeNull();
    expect(after(drained, [wellSince(asked, endsAt - 1)])?.nextCheckAt).toBe(endsAt);
  },
);
