import { laneCount, plannedLanes } from '../../../domain/campaigns/lanes';

test.each([
  { name: 'one call', dispatches: 1, customers: 900, lanes: 1 },
  { name: 'calls enough for one lane', dispatches: 6, customers: 6_000, lanes: 1 },
  { name: 'calls for two', dispatches: 7, customers: 6_100, lanes: 2 },
  { name: 'as many as a worker likes', dispatches: 1_000, customers: 1_000_000, lanes: 8 },
  { name: 'one small dispatch', dispatches: 1, customers: 20, lanes: 1 },
  { name: 'small dispatches for one lane', dispatches: 24, customers: 6_144, lanes: 1 },
  { name: 'small dispatches for two', dispatches: 25, customers: 6_145, lanes: 2 },
  { name: 'many small ones', dispatches: 400, customers: 100_000, lanes: 8 },
  { name: 'nothing', dispatches: 0, customers: 0, lanes: 1 },
])('$name: $lanes', ({ dispatches, customers, lanes }) => {
  expect(plannedLanes({ dispatches, customers })).toBe(lanes);
});

test('a workflow that was planned before plans told its lanes counts them as it did', () => {
  expect([1, 6, 7, 1_000].map((dispatches) => laneCount({ dispatches }))).toEqual([1, 1, 2, 8]);
});
