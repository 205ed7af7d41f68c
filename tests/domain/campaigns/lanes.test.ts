import { laneCount } from '../../../domain/campaigns/lanes';

test.each([
  { name: 'one call', dispatches: 1, customers: 900, lanes: 1 },
  { name: 'calls enough for one lane', dispatches: 6, customers: 6_000, lanes: 1 },
  { name: 'calls for two', dispatches: 7, customers: 6_100, lanes: 2 },
  { name: 'as many as a worker likes', dispatches: 1_000, customers: 1_000_000, lanes: 8 },
  { name: 'one small dispatch', dispatches: 1, customers: 20, lanes: 1 },
  { name: 'small dispatches, shared among workers', dispatches: 7, customers: 1_579, lanes: 3 },
  { name: 'many small ones', dispatches: 400, customers: 100_000, lanes: 8 },
  { name: 'nothing', dispatches: 0, customers: 0, lanes: 1 },
])('$name: $lanes', ({ dispatches, customers, lanes }) => {
  expect(laneCount({ dispatches, customers })).toBe(lanes);
});
