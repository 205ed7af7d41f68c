import { createRetryBudget, createRetryBudgets } from '../../../domain/llm/retryBudget';

function taken(budget: ReturnType<typeof createRetryBudget>, now: number): number {
  let n = 0;
  while (budget.take(now)) {
    n += 1;
  }
  return n;
}

test('a process that is asked rarely may try again ten times in ten seconds', () => {
  const budget = createRetryBudget({ share: 0.2, atLeast: 10 });
  budget.asked(50_000);
  expect(taken(budget, 50_000)).toBe(10);
  expect(budget.take(59_999)).toBe(false);
  expect(taken(budget, 60_000)).toBe(10);
});

test('a fifth of the requests of the last ten seconds may be tried again', () => {
  const budget = createRetryBudget({ share: 0.2, atLeast: 10 });
  for (let n = 0; n < 1_000; n += 1) {
    budget.asked(20_000 + n * 5);
  }
  expect(taken(budget, 25_000)).toBe(200);
  // The first second's 200 requests are over, and with them no retry yet.
  expect(budget.take(30_000)).toBe(false);
});

test('silence empties it, and a clock that was set back does not', () => {
  const budget = createRetryBudget({ share: 0.2, atLeast: 1 });
  expect(taken(budget, 100_000)).toBe(1);
  expect(budget.take(40_000)).toBe(false);
  expect(taken(budget, 1_000_000)).toBe(1);
});

test('a pool that fails uses up its own retries alone', () => {
  const budgets = createRetryBudgets({ share: 0.2, atLeast: 10 });
  budgets.asked('own', 50_000);
  const of = (poolId: string) => ({
    asked: (now: number) => budgets.asked(poolId, now),
    take: (now: number) => budgets.take(poolId, now),
  });
  expect(taken(of('own'), 50_000)).toBe(10);
  expect(taken(of('other'), 50_000)).toBe(10);
});

test('pools that nobody asks any more are forgotten, and others are not', () => {
  const budgets = createRetryBudgets({ share: 0.2, atLeast: 1 });
  for (let n = 0; n < 5_000; n += 1) {
    expect(budgets.take(`pool ${n}`, 50_000 + n)).toBe(true);
  }
  expect(budgets.take('pool 0', 56_000)).toBe(false);
  expect(budgets.take('pool 0', 70_000)).toBe(true);
});
