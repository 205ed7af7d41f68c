/** How many calls the next block of an account holds, as one process finds them to go. */
export interface BlockSize {
  now(): number;
  /** What a block of so many calls took, from its first to its last. */
  took(calls: number, ms: number): void;
}

// Enough calls at a time to hide their waiting; few enough that a crash leaves little in doubt.
const usual = 64;
// Where calls take next to no time, the trips to the database between blocks do: a block of twice as
// many is still less than a moment's work.
const ofQuickCalls = 128;
const quickMs = 75;
const slowMs = 300;

export function createBlockSize(): BlockSize {
  let size = usual;
  return {
    now: () => size,
    took(calls, ms) {
      if (calls >= usual && ms < quickMs) {
        size = ofQuickCalls;
      } else if (ms > slowMs) {
        size = usual;
      }
    },
  };
}
