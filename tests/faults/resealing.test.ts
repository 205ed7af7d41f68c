import { measureResealing } from '../../bench/resealing/measure';
import { readOptions } from '../../bench/resealing/options';

jest.setTimeout(400_000);

test('a new sealing key makes nothing unreadable, whoever reads, writes or is killed meanwhile', async () => {
  const options = readOptions(['--rows', '2000', '--tenants', '5']);
  const figures = await measureResealing(options, () => undefined);
  expect(figures).toMatchObject({
    rows: 2_000,
    unreadable: 0,
    lostChanges: 0,
    oldLeft: 0,
    otherwiseChanged: 0,
    failures: [],
  });
  expect(figures.opens).toBeGreaterThan(2_000);
  expect(figures.changedMeanwhile).toBeGreaterThan(20);
  expect(figures.resealed).toBeGreaterThan(0);
});
