import { freePort } from '../../workers/launch/ports';

test('gives each who asks for a free port another one', async () => {
  const ports: number[] = [];
  // Drawn at random from some ten thousand, a thousand hold a dozen twice.
  for (let n = 0; n < 1_000; n += 1) {
    ports.push(await freePort());
  }
  expect(new Set(ports).size).toBe(ports.length);
});
