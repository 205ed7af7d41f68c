import type { RateLimit } from '../../domain/messages/rateLimits';
import type { Knex } from '../../lib/db';
import type { Leave } from '../../models/messages/leave';
import type { Wait } from '../../models/messages/moveOut';
import { reserveRate } from '../../models/messages/rates';
import { waitMs } from './wait';

/** Leave for a block of calls, where limits ask for it in time; or the lane is over. */
export type Turn = { kind: 'go'; leave: Leave | null } | { kind: 'end'; wait: Wait | null };

// A turn that is near is waited for: giving the rest to another dispatch moves its messages.
const longestWaitMs = 15_000;

/** A lane's turns at its account's limits, block after block. */
export class LaneTurns {
  /** Messages of a block, as far as the limits go. */
  mostInBlock: number;
  /** Nobody counts this account's calls: then only the gate is asked. */
  isUnlimited = false;
  private isRefused = false;

  constructor(
    private readonly db: Knex,
    private readonly lane: {
      accountId: string;
      tenantId: string;
      signal: AbortSignal;
      endsAtMs: number;
      leaseMs: number;
      mostInBlock: number;
      /** As they were known a moment ago. */
      limitsNow: () => Promise<RateLimit[]>;
    },
  ) {
    this.mostInBlock = lane.mostInBlock;
  }

  /** The gate or a vendor has said no: the next turn finds out whether the account has to wait. */
  noteRefusal(): void {
    this.isRefused = true;
  }

  /**
   * Waits for leave to call so many, or as many as `mostInBlock` says by then. `beforeWaiting` comes
   * first where anything has to be asked or waited for.
   */
  async take(messages: number, beforeWaiting: () => Promise<void>): Promise<Turn> {
    const { accountId, tenantId, signal, endsAtMs } = this.lane;
    this.isUnlimited = !this.isRefused && (await this.lane.limitsNow()).length === 0;
    if (this.isUnlimited) {
      return { kind: 'go', leave: null };
    }
    await beforeWaiting();
    let size = messages;
    for (;;) {
      const call = { accountId, tenantId, calls: size, messages: size };
      const rate = await reserveRate(this.db, call);
      switch (rate.kind) {
        case 'unlimited':
          this.isRefused = false;
          this.isUnlimited = true;
          return { kind: 'go', leave: null };
        case 'reserved':
          this.isRefused = false;
          await waitMs(rate.waitMs, signal);
          return signal.aborted ? { kind: 'end', wait: null } : { kind: 'go', leave: rate.leave };
        case 'tooLarge':
          size = Math.max(rate.most, 1);
          this.mostInBlock = size;
          continue;
        case 'wait': {
          const ms = Math.max(rate.until.getTime() - Date.now(), 20);
          if (ms > this.patienceMs() || Date.now() + ms > endsAtMs || signal.aborted) {
            return { kind: 'end', wait: { delayMs: ms, reason: rate.reason } };
          }
          await waitMs(ms, signal);
        }
      }
    }
  }

  private patienceMs(): number {
    return Math.min(longestWaitMs, this.lane.leaseMs / 4);
  }
}
