import { freeBlock, freePort } from '../../workers/launch/ports';

test('gives each who asks for a free port another one', async () => {
  const ports = await Promise.all(Array.from({ length: 1_000 }, freePort));
  expect(new Set(ports).size).toBe(ports.length);
  // What Linux takes for outgoing connections begins here.
  expect(Math.max(...ports)).toBeLessThan(32_768);
});

test('gives rows of ports that do not overlap', async () => {
  const firsts = await Promise.all(Array.from({ length: 100 }, () => freeBlock(4)));
  const ports = firsts.flatMap((first) => [first, first + 1, first + 2, first + 3]);
  expect(new Set(ports).size).toBe(ports.length);
});
