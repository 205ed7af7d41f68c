import type { Channel } from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import { tripAlone, type TenantTrip } from '../../models/base';
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
import type { SharedTrips } from './sharedTrips';
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
      runId: string;
      accountId: string;
      dispatch: ClaimedDispatch;
      channel: Channel;
      signal: AbortSignal;
      /** What settled messages are counted in. */
      totals: SentCounts;
      trips: SharedTrips;
    },
  ) {}

  /** A block is to be settled with the next gate, or its lane's end. */
  get isWaiting(): boolean {
    return this.unsettled !== null;
  }

  /** Leaves a block that was accepted whole to the next gate or `settleRest`, which has to follow at once. */
  settleLater(ended: EndedBlock): void {
    this.unsettled = ended;
  }

  /** The gate, and the settlement of the block before if that is still to be done. */
  async passGate(call: GateCall): Promise<GateAnswer> {
    // What was counted in a window leaves in it: it waits for nobody.
    const trip = call.leaveBefore === null ? this.trip : tripAlone(this.db);
    const before = this.unsettled;
    if (before === null) {
      return passGate(this.db, call, trip);
    }
    const settled = this.settlementOf(before);
    let answer: GateAnswer | null = null;
    try {
      const both = await settleAndPass(this.db, settled, call, trip);
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
    return answer ?? passGate(this.db, call, trip);
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
          ? await settleAndEnd(this.db, block, outcome, this.trip)
          : { isSettled: false, hasEnded: false };
      this.hasEnded = known.hasEnded;
      if (!known.isSettled) {
        await settleBlock(this.db, block, outcome);
      }
    });
  }

  private readonly trip: TenantTrip = (tenantId, statements) => {
    const { dispatch, runId, accountId, trips } = this.lane;
    return trips.inOneTrip({ tenantId, accountId }, { runId, n: dispatch.n }, statements);
  };

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
