import { setTimeout as wait } from 'node:timers/promises';
import type { OpenRouterFault } from '../../sandbox';
import { errorsOf, type Facts } from './facts';
import type { LoadPlan } from './messages';
import type { Vendor } from './vendor';

const PER_SECOND = 200;
const ALL_LIMITED_MS = 3_000;
const FIRST_TOKEN_MS = 1_000;
// Until a few calls have waited for so long.
const BENCHED_AFTER_MS = FIRST_TOKEN_MS + 750;
const LIMITED_FOR_S = 20;

/** What came of a scenario: in words, in figures, and what of it is not as it has to be. */
export interface Verdict {
  reached: string;
  userErrors: number;
  /** Calls to keys that were dead, with those that were on their way when they died. */
  wasted: number;
  problems: string[];
}

export interface Scenario {
  name: string;
  title: string;
  liteLlm: string;
  toShow: string;
  requests: number;
  processes?: number;
  plan?: Partial<LoadPlan>;
  /** Whether keys have to be looked after by their workflows. */
  needsKeyrings?: boolean;
  /** Before anything is asked. */
  prepare(vendor: Vendor): Promise<void>;
  /** While it is asked. */
  during?(vendor: Vendor): Promise<void>;
  judge(facts: Facts, startedAt: number): Verdict;
}

const limited = (changes: Partial<OpenRouterFault>): OpenRouterFault => ({
  fault: 'platformRateLimit',
  resetsInSeconds: 60,
  ...changes,
});

/** Every scenario of the comparison, in its order. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'limitedAndRevoked',
    title: '2 limited and 1 revoked of 6',
    liteLlm: '0 errors, 3 wasted',
    toShow: '0, ≤ 3',
    requests: 1_000,
    async prepare(vendor) {
      await vendor.revoke('south-1');
      await vendor.setFaults(limited({ key: 'north-1' }), limited({ key: 'north-2' }));
    },
    judge: (facts) => noErrors(facts, 3),
  },
  {
    name: 'fiveDead',
    title: '5 of 6 dead (3×429, 401, 402)',
    liteLlm: '0 errors, 18 wasted',
    toShow: '0, 5 wasted',
    requests: 300,
    async prepare(vendor) {
      await vendor.revoke('south-1');
      await vendor.setFaults(limited({ account: 'north' }), { fault: 'keyLimit', key: 'south-2' });
    },
    judge: (facts) => noErrors(facts, 5),
  },
  {
    name: 'outOfCredit',
    title: 'one account out of credit in the middle, two processes',
    liteLlm: '0–1 errors',
    toShow: '0 errors, 1 wasted a process',
    requests: 800,
    processes: 2,
    prepare: () => Promise.resolve(),
    async during(vendor) {
      await wait(2_000);
      await vendor.setCredit('north', 0);
    },
    judge: (facts) => noErrors(facts, 2),
  },
  {
    name: 'allDead',
    title: 'finding out that all 6 are dead',
    liteLlm: '6 failed requests, 16 calls',
    toShow: '1 failed request, 6 calls',
    requests: 20,
    // One comes first and finds out; nobody else has to.
    plan: { perSecond: 5 },
    async prepare(vendor) {
      await vendor.setFaults({ fault: 'keyLimit' });
    },
    judge(facts) {
      const searching = new Set(facts.calls.map(({ session }) => session)).size;
      const problems = [
        ...(facts.calls.length > 6 ? [`${facts.calls.length} calls`] : []),
        ...(facts.failed.length < facts.requests ? ['somebody was answered by a dead key'] : []),
        ...problemsOf(facts),
      ];
      return {
        reached: `${facts.calls.length} calls by ${searching} request(s); the others were refused without one`,
        // There is no living key.
        userErrors: 0,
        wasted: facts.calls.length,
        problems,
      };
    },
  },
  {
    name: 'invalid',
    title: 'invalid requests (400)',
    liteLlm: '1 call a request',
    toShow: '1',
    requests: 200,
    prepare: (vendor) => vendor.setFaults({ fault: 'invalidRequest' }),
    judge: oneCallEach,
  },
  {
    name: 'moderated',
    title: 'moderated requests (403)',
    liteLlm: '3 calls a request',
    toShow: '1',
    requests: 200,
    prepare: (vendor) => vendor.setFaults({ fault: 'moderation' }),
    judge: oneCallEach,
  },
  {
    name: 'hangingKey',
    title: `one key hangs, first-token limit ${FIRST_TOKEN_MS} ms`,
    liteLlm: '8 of 60 wait 10 s',
    toShow: 'switch at the first-token limit, key benched',
    requests: 800,
    plan: { firstTokenMs: FIRST_TOKEN_MS },
    prepare: (vendor) => vendor.setFaults({ fault: 'hang', key: 'north-1' }),
    judge(facts, startedAt) {
      const late = facts.wasted.filter(({ at }) => at > startedAt + BENCHED_AFTER_MS).length;
      const verdict = noErrorsByRetries(facts);
      const { failed, wasted, calls } = facts;
      const isSlow = facts.slowestMs > FIRST_TOKEN_MS + 1_000;
      return {
        ...verdict,
        reached: `${failed.length} errors, ${wasted.length} of ${calls.length} calls hung, ${late} of them once it could be known; slowest ${facts.slowestMs} ms`,
        problems: [
          ...verdict.problems,
          ...(isSlow ? [`the slowest took ${facts.slowestMs} ms`] : []),
          ...(late > 0 ? [`${late} calls on the hanging key after it was known`] : []),
        ],
      };
    },
  },
  {
    name: 'diesBefore',
    title: 'streams die before the first chunk, 3 of 6 keys',
    liteLlm: '40 % of users get 500',
    toShow: '0',
    requests: 800,
    plan: { isStream: true, consumer: 'raw' },
    prepare: (vendor) =>
      vendor.setFaults(
        { fault: 'cutBeforeFirstChunk', key: 'north-1' },
        { fault: 'cutBeforeFirstChunk', key: 'north-2' },
        { fault: 'cutBeforeFirstChunk', key: 'south-1' },
      ),
    judge: (facts) => noErrorsByRetries(facts),
  },
  {
    name: 'diesAfter',
    title: 'streams die after the first chunk, 3 of 6 keys',
    liteLlm: 'not measured',
    toShow: '0, by a reset',
    requests: 800,
    plan: { isStream: true, consumer: 'resettable' },
    prepare: (vendor) =>
      vendor.setFaults(
        { fault: 'midStreamCut', key: 'north-1' },
        { fault: 'midStreamCut', key: 'north-2' },
        { fault: 'midStreamCut', key: 'south-1' },
      ),
    judge: (facts) => noErrorsByRetries(facts),
  },
  {
    name: 'retryAfter',
    title: '429 to the caller',
    liteLlm: 'no Retry-After, then the whole cooldown',
    toShow: 'Retry-After = what is left',
    requests: 12,
    plan: { perSecond: 2 },
    prepare: (vendor) => vendor.setFaults(limited({ resetsInSeconds: LIMITED_FOR_S, count: 6 })),
    judge(facts, startedAt) {
      const told = facts.failed.map(({ endedAt, retryAfterSeconds }) => {
        const leftS = LIMITED_FOR_S - (endedAt - startedAt) / 1_000;
        return retryAfterSeconds === null ? Infinity : Math.abs(retryAfterSeconds - leftS);
      });
      const off = Math.max(0, ...told);
      const wrong = off > 1.5 ? [`Retry-After is off by ${off.toFixed(1)} s`] : [];
      return {
        reached: `${facts.failed.length} refused, Retry-After off by ${off.toFixed(1)} s at most; ${facts.calls.length} calls`,
        // There is no living key.
        userErrors: 0,
        wasted: facts.wasted.length,
        problems: [
          ...(facts.failed.length === 0 ? ['nobody was refused'] : []),
          ...wrong,
          ...problemsOf(facts),
        ],
      };
    },
  },
  {
    name: 'allLimited',
    title: 'all keys limited 3 s, upstream says Retry-After 30',
    liteLlm: 'first success 27 s after',
    toShow: 'by a cheap probe, ≤ 2 s',
    requests: 1_600,
    needsKeyrings: true,
    plan: { deadlineMs: 15_000 },
    prepare: (vendor) =>
      vendor.setFaults(limited({ forMs: ALL_LIMITED_MS, retryAfterSeconds: 30 })),
    judge(facts, startedAt) {
      const wellAt = startedAt + ALL_LIMITED_MS;
      const answered = facts.outcomes.filter(({ isAnswered }) => isAnswered);
      const firstAt = Math.min(...answered.map(({ endedAt }) => endedAt));
      const lateFailures = facts.failed.filter((each) => each.startedAt > wellAt + 2_000);
      const early = facts.failed.length - lateFailures.length;
      const afterMs = firstAt - wellAt;
      return {
        reached: `first success ${afterMs} ms after, by ${facts.probes.length} probes; ${early} refused while no key lived`,
        userErrors: lateFailures.length,
        wasted: facts.wasted.length,
        problems: [
          ...(afterMs <= 2_000 ? [] : [`first success ${afterMs} ms after`]),
          ...(lateFailures.length === 0 ? [] : [errorsOf(lateFailures)]),
          ...problemsOf(facts),
        ],
      };
    },
  },
];

/** How fast everybody asks where a scenario does not say. */
export const defaultPlan: Omit<LoadPlan, 'requests' | 'prefix'> = {
  perSecond: PER_SECOND,
  isStream: false,
  consumer: 'buffered',
  firstTokenMs: null,
  deadlineMs: 30_000,
};

/** Nobody gets an error, and each event costs each process one call beside those on their way. */
function noErrors(facts: Facts, events: number): Verdict {
  const { failed, wasted, onTheWay, calls } = facts;
  const counted = wasted.length - onTheWay.length;
  const beside = onTheWay.length === 0 ? '' : `, ${onTheWay.length} of them on their way`;
  return {
    reached: `${failed.length} errors, ${wasted.length} wasted of ${calls.length} calls${beside}`,
    userErrors: failed.length,
    wasted: wasted.length,
    problems: [
      ...(failed.length === 0 ? [] : [errorsOf(failed)]),
      ...(counted > events ? [`${counted} wasted that need not have been`] : []),
      ...problemsOf(facts),
    ],
  };
}

/** Nobody gets an error, though keys go on failing now and then: there is no moment at which they die. */
function noErrorsByRetries(facts: Facts): Verdict {
  const { failed, wasted, calls } = facts;
  return {
    reached: `${failed.length} errors, ${wasted.length} of ${calls.length} calls came to nothing`,
    userErrors: failed.length,
    wasted: 0,
    problems: [...(failed.length === 0 ? [] : [errorsOf(failed)]), ...problemsOf(facts)],
  };
}

// What only the request is to blame for touches one key once, and changes nothing.
function oneCallEach(facts: Facts): Verdict {
  const { calls, requests, failed, states } = facts;
  const isTouched = Object.keys(states).some((state) => state !== 'active');
  return {
    reached: `${calls.length / requests} calls a request; keys ${statesText(states)}`,
    // They are wrong wherever they go.
    userErrors: 0,
    wasted: 0,
    problems: [
      ...(calls.length === requests && facts.mostOfRequest === 1 ? [] : [`${calls.length} calls`]),
      ...(failed.length === requests ? [] : ['some were answered']),
      ...(isTouched ? [`keys ${statesText(states)}`] : []),
    ],
  };
}

// What never may be, whatever happens.
function problemsOf({ mostOfKey }: Facts): string[] {
  return mostOfKey > 1 ? [`one key ${mostOfKey} times in a request`] : [];
}

function statesText(states: Readonly<Record<string, number>>): string {
  return Object.entries(states)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ');
}
