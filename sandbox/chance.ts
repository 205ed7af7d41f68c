import { createHash } from 'node:crypto';

/** A number of 0..1 that is always the same for the same text. */
export function chanceOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}

/** A stream of numbers of 0..1, the same again for the same seed. */
export function seededRandom(seed: string): () => number {
  let drawn = 0;
  return () => chanceOf(`${seed}/${drawn++}`);
}

/** A new array with the same items in an order drawn from `random`. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
