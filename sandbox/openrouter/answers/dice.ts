/** Draws that are always the same for the same text. */
export interface Dice {
  /** Where lists begin that are gone through in order: the same for all texts of one answer. */
  readonly shift: number;
  /** 0 ≤ n < 1. */
  next(): number;
  /** An integer, both ends included. */
  between(least: number, most: number): number;
  pick<T>(list: readonly [T, ...T[]]): T;
  pick<T>(list: readonly T[]): T | undefined;
}

/** Fast rather than strong: thousands of answers a second are drawn with it. */
export function diceOf(text: string): Dice {
  let state = hashOf(text);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  function pick<T>(list: readonly [T, ...T[]]): T;
  function pick<T>(list: readonly T[]): T | undefined;
  function pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(next() * list.length)];
  }
  return {
    shift: Math.floor(next() * 1_000),
    next,
    between: (least, most) => least + Math.floor(next() * (most - least + 1)),
    pick,
  };
}

/** FNV-1a over UTF-16 units. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193);
  }
  return hash >>> 0;
}
