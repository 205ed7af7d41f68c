import { laneCount } from '../../../domain/campaigns/lanes';

test.each([
  { name: 'one dispatch', dispatches: 1, lanes: 1 },
  { name: 'dispatches enough for one lane', dispatches: 6, lanes: 1 },
  { name: 'dispatches for two', dispatches: 7, lanes: 2 },
  { name: 'as many as a worker likes', dispatches: 1_000, lanes: 8 },
  { name: 'nothing', dispatches: 0, lanes: 1 },
])('$name: $lanes', ({ dispatches, lanes }) => {
  expect(laneCount({ dispatches })).toBe(lanes);
});
