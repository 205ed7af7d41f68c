import {
  allowsModel,
  evenDraws,
  hashOf,
  headroomOf,
  homeOf,
  lessLoaded,
} from '../../../domain/llm/choose';
import { Flow } from '../../../domain/llm/flow';

function keys(...shares: number[]) {
  return shares.map((share) => ({ share, flow: new Flow(), chosen: 0 }));
}

// Repeatable, and nothing like even.
function chance(): () => number {
  let state = 7;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test.each([
  [[100, 100, 100, 100, 100, 100]],
  [[100, 50, 25]],
  [[1000, 1, 999]],
  [Array.from({ length: 200 }, (_, n) => 50 + n)],
])('spreads 10,000 calls within 5 %% of the shares %j while nothing is under way', (shares) => {
  const candidates = keys(...shares);
  const [draw, other] = [evenDraws(0.3), chance()];
  const whole = shares.reduce((sum, share) => sum + share, 0);
  for (let n = 0; n < 10_000; n++) {
    const chosen = lessLoaded(candidates, { first: draw(), second: other() });
    if (chosen !== null) {
      chosen.chosen += 1;
    }
  }
  for (const { chosen, share } of candidates) {
    const expected = (10_000 * share) / whole;
    // One call more or less is no share of anything.
    expect(Math.abs(chosen - expected)).toBeLessThanOrEqual(Math.max(0.05 * expected, 2));
  }
});

test('spreads calls that last by shares, and gives one that hangs hardly any', () => {
  const candidates = keys(100, 100, 100, 50);
  const [hanging] = candidates;
  const [draw, other] = [evenDraws(0.1), chance()];
  const underWay: typeof candidates = [];
  for (let n = 0; n < 4_000; n++) {
    const chosen = lessLoaded(candidates, { first: draw(), second: other() });
    if (chosen === null) {
      continue;
    }
    chosen.chosen += 1;
    chosen.flow.inFlight += 1;
    if (chosen !== hanging) {
      underWay.push(chosen);
    }
    // Twelve at a time; what hangs never ends.
    const ended = underWay.length > 12 ? underWay.shift() : undefined;
    if (ended !== undefined) {
      ended.flow.inFlight -= 1;
    }
  }
  const [, first = 0, second = 0, half = 0] = candidates.map(({ chosen }) => chosen);
  expect(hanging?.chosen).toBeLessThan(40);
  expect(first / second).toBeCloseTo(1, 1);
  expect(first / half).toBeGreaterThan(1.7);
  expect(first / half).toBeLessThan(2.3);
});

test('chooses nothing of nothing, and the only one there is', () => {
  expect(lessLoaded([], { first: 0, second: 0 })).toBeNull();
  const [only] = keys(1);
  expect(lessLoaded(only === undefined ? [] : [only], { first: 0.9, second: 0.9 })).toBe(only);
});

describe('the home of a conversation', () => {
  const accounts = ['a', 'b', 'c', 'd'].map((id) => ({ id, hash: hashOf(id), weight: 100 }));
  const talks = Array.from({ length: 4_000 }, (_, n) => hashOf(`conversation ${n}`));

  test('is shared out by weight', () => {
    const [a, ...others] = accounts;
    const heavy = a === undefined ? others : [{ ...a, weight: 300 }, ...others];
    const homes = talks.map((talk) => homeOf(talk, heavy)?.id);
    const ofA = homes.filter((id) => id === 'a').length;
    expect(ofA / talks.length).toBeGreaterThan(0.46);
    expect(ofA / talks.length).toBeLessThan(0.54);
  });

  test('moves only for those whose account is gone', () => {
    const left = accounts.filter(({ id }) => id !== 'c');
    for (const talk of talks) {
      const before = homeOf(talk, accounts)?.id;
      const after = homeOf(talk, left)?.id;
      expect(before === 'c' ? after !== 'c' : after === before).toBe(true);
    }
    expect(homeOf(1, [])).toBeNull();
  });
});

test.each([
  [null, 'any/model', true],
  [[], 'any/model', false],
  [['maker/large'], 'maker/large', true],
  [['maker/large'], 'maker/large:free', false],
  [['maker/*'], 'maker/large', true],
  [['maker/*'], 'other/large', false],
  [['*'], 'other/large', true],
  [['other/one', 'maker/la*'], 'maker/large', true],
] as const)('a key with the models %j and %s: %s', (allowed, model, expected) => {
  expect(allowsModel(allowed, model)).toBe(expected);
});

describe('headroom', () => {
  const noon = Date.UTC(2026, 10, 18, 12);
  const key = (
    limitMicros: number | null,
    left: number | null,
    limitReset: 'daily' | 'weekly' | 'monthly' | null,
  ) => headroomOf({ limitMicros, limitRemainingMicros: left, limitReset }, noon);

  test.each([
    ['without a limit', key(null, null, null), 1],
    ['with a limit nobody looked at yet', key(1_000, null, 'daily'), 1],
    ['half of the day and half of the limit left', key(1_000, 500, 'daily'), 1],
    ['half of the day and a quarter left', key(1_000, 250, 'daily'), 1 / 3],
    ['nothing left', key(1_000, 0, 'daily'), 0.05],
    ['nothing spent', key(1_000, 1_000, 'monthly'), 1],
    // Wednesday noon: two and a half of seven days are over.
    ['as much of the week as of the limit left', key(700, 450, 'weekly'), 1],
    ['half of the week and little left', key(700, 225, 'weekly'), 225 / (475 * (4.5 / 2.5))],
    ['a limit that never comes back, mostly left', key(1_000, 600, null), 1],
    ['a limit that never comes back, nearly gone', key(1_000, 100, null), 0.5],
  ])('%s', (_, headroom, expected) => {
    expect(headroom).toBeCloseTo(expected, 6);
  });
});

describe('the room of a key or an account', () => {
  test('keeps a part of it for people who wait, and at least one place for all', () => {
    const flow = new Flow(10);
    flow.inFlight = 7;
    expect([flow.hasRoom(1), flow.hasRoom(0.7)]).toEqual([true, false]);
    const one = new Flow(1);
    expect(one.hasRoom(0.35)).toBe(true);
    const free = new Flow(null);
    free.inFlight = 1_000_000;
    expect(free.hasRoom(0.35)).toBe(true);
  });

  test('is halved, and grows by one for every twenty successes until it is as it was', () => {
    const flow = new Flow(10);
    flow.inFlight = 8;
    flow.halve();
    expect(flow.limit).toBe(4);
    const limits = [];
    for (let n = 0; n < 120; n++) {
      flow.succeeded();
      limits.push(flow.limit);
    }
    expect([limits[18], limits[19], limits[39], limits[119]]).toEqual([4, 5, 6, 10]);
    flow.most = 20;
    expect(flow.limit).toBe(20);
  });

  test('without a limit is halved from what is under way, and is free again well above it', () => {
    const flow = new Flow(null);
    flow.halve();
    expect(flow.limit).toBe(Infinity);
    flow.inFlight = 6;
    flow.halve();
    expect(flow.limit).toBe(3);
    flow.halve();
    flow.halve();
    expect(flow.limit).toBe(1);
    for (let n = 0; n < 20 * 11; n++) {
      flow.succeeded();
    }
    expect(flow.limit).toBe(Infinity);
  });
});
