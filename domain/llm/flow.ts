import type { LlmPriority } from './types';

/** Which part of the room calls of a priority may fill: 30 % are kept for people who wait. */
export const roomShares: Readonly<Record<LlmPriority, number>> = {
  interactive: 1,
  transactional: 0.7,
  bulk: 0.7,
};

/** What is left of it for bulk while some of the pool cools. */
export const bulkShareWhileCooling = 0.35;

const successesPerStep = 20;

/**
 * How many calls of a key, an account or a pool are under way in this process, and how many may be.
 * Halved where the vendor says it is too much, it grows by one for every 20 successes.
 */
export class Flow {
  inFlight = 0;
  private lowered: number | null = null;
  private ceiling = 0;
  private successes = 0;

  /** `most` is null where nobody set a limit. */
  constructor(public most: number | null = null) {}

  /** How many may be under way now; infinite without a limit. */
  get limit(): number {
    return Math.min(this.most ?? Infinity, this.lowered ?? Infinity);
  }

  hasRoom(share: number): boolean {
    const { limit } = this;
    return limit === Infinity || this.inFlight < Math.max(1, Math.floor(limit * share));
  }

  halve(): void {
    const base = this.inFlight === 0 ? this.limit : Math.min(this.limit, this.inFlight);
    if (base !== Infinity) {
      this.ceiling = Math.max(this.ceiling, base);
      this.lowered = Math.max(1, Math.floor(base / 2));
      this.successes = 0;
    }
  }

  succeeded(): void {
    if (this.lowered === null) {
      return;
    }
    this.successes += 1;
    if (this.successes < successesPerStep) {
      return;
    }
    this.successes = 0;
    this.lowered += 1;
    // Without a limit of its own it is free again well above where it was too much.
    if (this.lowered >= (this.most ?? 2 * this.ceiling)) {
      this.lowered = null;
      this.ceiling = 0;
    }
  }
}
