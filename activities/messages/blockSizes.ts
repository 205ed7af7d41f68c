/** How many calls the next block of an account holds, as one process finds them to go. */
export interface BlockSize {
  now(): number;
  /** What a block of so many calls took, from its first to its last. */
  took(calls: number, ms: number): void;
}

/** Enough calls at a time to hide their waiting; few enough that a crash leaves little in doubt. */
export const usualBlock = 64;

const quickMs = 75;
const slowMs = 300;

/** Begins with the usual size; `quickBlock` is that of calls that take next to no time. */
export function createBlockSize(quickBlock: number): BlockSize {
  let size = usualBlock;
  return {
    now: () => size,
    took(calls, ms) {
      if (calls >= usualBlock && ms < quickMs) {
        size = quickBlock;
      } else if (ms > slowMs) {
        size = usualBlock;
      }
    },
  };
}
