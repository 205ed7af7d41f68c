import type { Channel } from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import {
  isAllAccepted,
  settleBlock,
  type BlockOutcome,
  type LeftBlock,
} from '../../models/messages/blocks';
import type { ClaimedDispatch } from '../../models/messages/claims';
import { passGate, settleAndPass, type GateAnswer } from '../../models/messages/gate';
import type { GateCall } from '../../models/messages/gateStatements';
import { settleAndEnd } from '../../models/messages/laneEnds';
import { outlastOutage } from './outlastOutage';
import { outcomeOfBlock, settleAlone, type Reply } from './replies';
import type { SentCounts } from './sentCounts';

/** A block whose calls have ended. */
export interface EndedBlock {
  block: Pick<LeftBlock, 'tenantId' | 'runId' | 'attempt' | 'firstMessageN' | 'lastMessageN'>;
  replies: readonly Reply[];
}

/** Writes down what became of a lane's blocks: each at once, or together with the next one's gate. */
export class LaneSettlements {
  /** The dispatch was ended with its last block. */
  hasEnded = false;
  private unsettled: EndedBlock | null = null;

  constructor(
    private readonly db: Knex,
    private readonly lane: {
      dispatch: ClaimedDispatch;
      channel: Channel;
      signal: AbortSignal;
      /** What settled messages are counted in. */
      totals: SentCounts;
    },
  ) {}

  /** A block is to be settled with the next gate. */
  get isWaiting(): boolean {
    return this.unsettled !== null;
  }

  /** Leaves a block that was accepted whole to the gate of the next, which has to follow at once. */
  settleWithNext(ended: EndedBlock): void {
    this.unsettled = ended;
  }

  /** The gate, and the settlement of the block before if that is still to be done. */
  async passGate(call: GateCall): Promise<GateAnswer> {
    const before = this.unsettled;
    if (before === null) {
      return passGate(this.db, call);
    }
    const settled = this.settlementOf(before);
    let answer: GateAnswer | null = null;
    try {
      const both = await settleAndPass(this.db, settled, call);
      answer = both.answer;
      this.unsettled = both.isSettled ? null : before;
    } catch {
      // What is known of calls outlasts what keeps the database from taking it, a gate does not:
      // whichever of the two it was, each is tried alone.
    }
    if (this.unsettled === null) {
      this.count(settled.outcome);
    } else {
      await this.settleRest();
    }
    return answer ?? passGate(this.db, call);
  }

  /** Settles what was left to a gate that is not asked after all. */
  async settleRest(): Promise<void> {
    if (this.unsettled !== null) {
      const rest = this.unsettled;
      this.unsettled = null;
      await this.settle(rest);
    }
  }

  async settle(ended: EndedBlock): Promise<void> {
    const { dispatch, signal } = this.lane;
    const { block, outcome } = this.settlementOf(ended);
    this.count(outcome);
    await outlastOutage(signal, async () => {
      if (dispatch.messageCount === 1) {
        await settleAlone(this.db, block, ended.replies[0]);
        return;
      }
      const isLast = block.lastMessageN === dispatch.lastMessageN;
      const known =
        isLast && isAllAccepted(outcome)
          ? await settleAndEnd(this.db, block, outcome)
          : { isSettled: false, hasEnded: false };
      this.hasEnded = known.hasEnded;
      if (!known.isSettled) {
        await settleBlock(this.db, block, outcome);
      }
    });
  }

  private settlementOf({ block, replies }: EndedBlock): {
    block: LeftBlock;
    outcome: BlockOutcome;
  } {
    const { dispatch, channel } = this.lane;
    return {
      block: { ...block, dispatchN: dispatch.n, claimN: dispatch.claimN, channel },
      outcome: outcomeOfBlock(replies, block.attempt),
    };
  }

  private count({ accepted, refused, doubtful }: BlockOutcome): void {
    const { totals } = this.lane;
    totals.accepted += accepted.length;
    totals.refused += refused.length;
    totals.inDoubt += doubtful.length;
  }
}
