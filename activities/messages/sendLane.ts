import { setImmediate as otherEvents } from 'node:timers/promises';
import { messagesPerCall, type RateLimit } from '../../domain/messages/rateLimits';
import { withTenantByKey } from '../../models/base';
import {
  isAllAccepted,
  settleBlock,
  type BlockOutcome,
  type LeftBlock,
} from '../../models/messages/blocks';
import { endLane, settleAndEnd } from '../../models/messages/laneEnds';
import { unclaimDispatch, type ClaimedDispatch, type WaveKey } from '../../models/messages/claims';
import { passGate, settleAndPass, type GateAnswer } from '../../models/messages/gate';
import type { GateCall } from '../../models/messages/gateStatements';
import type { Wait } from '../../models/messages/moveOut';
import { blockAccount, reserveRate, slowDown } from '../../models/messages/rates';
import { loadRecipients, type Recipient } from '../../models/messages/recipients';
import type { ActivityDeps } from '../deps';
import type { AccountSender, OneMessage } from './accountSenders';
import { createBlockSize, type BlockSize } from './blockSizes';
import { holdRun, refusedMessage } from './holdRun';
import { createLimitsOf } from './limitsOf';
import { outlastOutage } from './outlastOutage';
import { createOneRenderer } from './renderOne';
import { createPressure, outcomeOfBlock, settleAlone, type Pressure, type Reply } from './replies';
import type { RunContent } from './runContent';
import { nothingSent, type SentCounts } from './sentCounts';
import { waitMs } from './wait';

/** One claimed dispatch of an account that takes one message a call. */
export interface LaneWork {
  wave: WaveKey;
  dispatch: ClaimedDispatch;
  content: RunContent;
  sender: AccountSender;
  signal: AbortSignal;
  /** What is not called by then goes to another lane. */
  endsAtMs: number;
}

// A turn that is near is waited for: giving the rest to another dispatch moves its messages.
const longestWaitMs = 15_000;
// One trip to the database settles a block and passes the gate for the next: so a lane keeps its turn
// for some blocks, but not while others wait for a slow server.
const longestTurnMs = 1_000;

/**
 * Makes the function that takes one claimed dispatch through its calls, block by block: reserve rate,
 * leave out, pass the gate, call, settle. What is left when a limit, the gate or the time ends it goes
 * to a dispatch of its own, so that every message is called once.
 */
export function createSendLane(deps: ActivityDeps): (work: LaneWork) => Promise<SentCounts> {
  const accounts = new Map<string, AccountPace>();
  const paceOf = ({ accountId, quickBlock }: AccountSender): AccountPace => {
    const pace = accounts.get(accountId) ?? {
      pressure: createPressure(),
      blockSize: createBlockSize(quickBlock),
    };
    accounts.set(accountId, pace);
    return pace;
  };
  const limitsOf = createLimitsOf(deps.db);
  return async function sendLane(work) {
    const { wave, dispatch, content, sender } = work;
    const { tenantId, runId } = wave;
    const { channel } = content;
    const recipients: Recipient[] = [];
    const wanted = { tenantId, runId, channel, dispatch, fields: content.fields };
    const limitsNow = () => limitsOf(tenantId, sender.accountId);
    const limits = await limitsNow();
    await loadRecipients(deps.db, wanted, (recipient) => void recipients.push(recipient));
    recipients.sort((a, b) => a.n - b.n);
    const lane = new Lane(deps, work, {
      recipients,
      pace: paceOf(sender),
      limitsNow,
      mostInBlock: messagesPerCall(
        limits.map((limit) => ({ ...limit, unit: 'messages' })),
        Infinity,
      ),
    });
    return lane.run();
  };
}

/** What one process has seen of an account. */
interface AccountPace {
  pressure: Pressure;
  blockSize: BlockSize;
}

/** What a block waits for, or that the lane is over. */
type Turn = { kind: 'go'; leaveBefore: Date | null } | { kind: 'end'; wait: Wait | null };

/** What became of a block: sent, not let through by the gate, or the lane is over. */
type Turned = { kind: 'sent' | 'shut' } | { kind: 'end'; wait: Wait | null };

/** A block whose calls have ended. */
interface Ended {
  block: Pick<LeftBlock, 'tenantId' | 'runId' | 'attempt' | 'firstMessageN' | 'lastMessageN'>;
  replies: readonly Reply[];
}

/** The state of one dispatch on its way through its blocks. */
class Lane {
  private readonly totals: SentCounts = { ...nothingSent };
  private readonly recipients: readonly Recipient[];
  private readonly pace: AccountPace;
  /** As they were known a moment ago. */
  private readonly limitsNow: () => Promise<RateLimit[]>;
  private readonly render: (recipient: Recipient) => OneMessage | null;
  /** As far as its limits go. */
  private mostInBlock: number;
  /** How many recipients have been called or left out, and the first message that has not. */
  private position = 0;
  private firstMessageN: number;
  private attempt: number | null = null;
  /** The gate has said no: the next turn finds out whether the vendor has asked the account to wait. */
  private isRefused = false;
  /** Nobody counts this account's calls: then only the gate is asked. */
  private isUnlimited = false;
  /** Every message has been called or left out. */
  private isThrough = false;
  /** Accepted whole, to be settled with the gate of the next block, which follows at once. */
  private unsettled: Ended | null = null;
  /** Its dispatch was ended with its last block. */
  private hasEnded = false;
  private lastRenderingMs = 0;
  private turnEndsAtMs = 0;

  constructor(
    private readonly deps: ActivityDeps,
    private readonly work: LaneWork,
    start: {
      recipients: readonly Recipient[];
      pace: AccountPace;
      mostInBlock: number;
      limitsNow: () => Promise<RateLimit[]>;
    },
  ) {
    this.recipients = start.recipients;
    this.pace = start.pace;
    this.limitsNow = start.limitsNow;
    this.firstMessageN = work.dispatch.firstMessageN;
    this.mostInBlock = start.mostInBlock;
    this.render = createOneRenderer(deps, work.content, work.wave.runId);
  }

  async run(): Promise<SentCounts> {
    const { dispatch, sender, signal, endsAtMs } = this.work;
    let refusals = 0;
    while (this.firstMessageN <= dispatch.lastMessageN) {
      if (signal.aborted || Date.now() >= endsAtMs) {
        return this.end(null);
      }
      const block = await sender.inTurn(() => this.nextBlocks());
      if (block.kind === 'end') {
        return this.end(block.wait);
      }
      // Once because the vendor has asked the account to wait, which the next turn finds out.
      refusals = block.kind === 'shut' ? refusals + 1 : 0;
      if (refusals > 1) {
        return this.end(null);
      }
      this.isRefused ||= block.kind === 'shut';
    }
    this.isThrough = true;
    return this.end(null);
  }

  /** Block after block until another lane should have the turn; all of them are settled then. */
  private async nextBlocks(): Promise<Turned> {
    this.turnEndsAtMs = performance.now() + longestTurnMs;
    try {
      for (;;) {
        const turned = await this.nextBlock();
        if (this.unsettled === null) {
          return turned;
        }
      }
    } finally {
      await this.settleRest();
    }
  }

  /** Waits for the account's turn and takes the messages that come next as far as they go. */
  private async nextBlock(): Promise<Turned> {
    const { dispatch } = this.work;
    const rest = this.recipients.length - this.position;
    const size = Math.min(this.pace.blockSize.now(), this.mostInBlock);
    const turn = await this.takeTurn(Math.min(size, Math.max(rest, 1)));
    if (turn.kind === 'end') {
      return turn;
    }
    const most = Math.min(size, this.mostInBlock);
    const block = this.recipients.slice(this.position, this.position + most);
    const isLast = this.position + block.length >= this.recipients.length;
    const lastMessageN = isLast
      ? dispatch.lastMessageN
      : (block.at(-1)?.n ?? dispatch.lastMessageN);
    const range = { firstMessageN: this.firstMessageN, lastMessageN };
    const gone = await this.sendBlock(block, range, turn.leaveBefore);
    if (gone === 'held') {
      return { kind: 'end', wait: null };
    }
    if (gone === 'sent') {
      this.position += block.length;
      this.firstMessageN = lastMessageN + 1;
    }
    return { kind: gone };
  }

  private async takeTurn(messages: number): Promise<Turn> {
    const { wave, sender, signal, endsAtMs } = this.work;
    this.isUnlimited = !this.isRefused && (await this.limitsNow()).length === 0;
    if (this.isUnlimited) {
      return { kind: 'go', leaveBefore: null };
    }
    const call = { accountId: sender.accountId, tenantId: wave.tenantId };
    let size = messages;
    for (;;) {
      const rate = await reserveRate(this.deps.db, { ...call, calls: size, messages: size });
      switch (rate.kind) {
        case 'unlimited':
          this.isRefused = false;
          this.isUnlimited = true;
          return { kind: 'go', leaveBefore: null };
        case 'reserved':
          this.isRefused = false;
          await waitMs(rate.waitMs, signal);
          return signal.aborted
            ? { kind: 'end', wait: null }
            : { kind: 'go', leaveBefore: rate.leaveBefore };
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
    return Math.min(longestWaitMs, this.deps.leaseMs / 4);
  }

  private async sendBlock(
    recipients: readonly Recipient[],
    range: { firstMessageN: number; lastMessageN: number },
    leaveBefore: Date | null,
  ): Promise<'sent' | 'shut' | 'held'> {
    const { wave, dispatch, content, sender } = this.work;
    const { tenantId, runId } = wave;
    const { messages, failed } = await this.renderAll(recipients);
    const gate = await this.passGate({
      tenantId,
      runId,
      channel: content.channel,
      dispatch,
      leaseMs: this.deps.leaseMs,
      leaveBefore,
      loaded: {
        ns: recipients.map(({ n }) => n),
        addresses: recipients.reduce((sum, { addressHash }) => sum + (addressHash ?? 0), 0),
      },
      notRendered: failed,
      block: { ...range, attempt: this.attempt, accountId: sender.accountId },
    });
    if (gate.kind === 'shut') {
      return 'shut';
    }
    if (gate.kind === 'empty') {
      this.totals.leftOut += recipients.length - gate.heldBack;
      return 'sent';
    }
    this.attempt = gate.attempt;
    this.totals.leftOut += gate.leftOut.size - gate.heldBack;
    const calledAtMs = performance.now();
    const replies = await Promise.all(this.startCalls(messages.splice(0), gate));
    this.pace.blockSize.took(replies.length, performance.now() - calledAtMs);
    const ended = { block: { ...range, tenantId, runId, attempt: gate.attempt }, replies };
    if (this.maySettleWithNext(ended)) {
      this.unsettled = ended;
    } else {
      await this.settle(ended);
    }
    return this.afterwards(replies);
  }

  // A function of its own: once the calls are under way nobody but they may hold the texts, which live
  // long enough to be copied by every collection of garbage.
  private startCalls(
    messages: { n: number; message: OneMessage }[],
    { attempt, leftOut }: Extract<GateAnswer, { kind: 'open' }>,
  ): Promise<Reply>[] {
    const { wave, dispatch, sender } = this.work;
    const { runId } = wave;
    return messages
      .filter(({ n }) => !leftOut.has(n))
      .map(({ n, message }) => {
        const reference = { runId, dispatchN: dispatch.n, attempt, messageN: n };
        const address = message.channel === 'email' ? message.to.email : message.to;
        return sender.send(message, reference).then((outcome) => ({ n, address, outcome }));
      });
  }

  /** Only where the next gate is asked at once: until then a process that dies leaves a doubt. */
  private maySettleWithNext({ block, replies }: Ended): boolean {
    const { dispatch, signal, endsAtMs } = this.work;
    return (
      this.isUnlimited &&
      block.lastMessageN < dispatch.lastMessageN &&
      replies.every(({ outcome }) => outcome.kind === 'accepted') &&
      this.lastRenderingMs < turnMs &&
      performance.now() < this.turnEndsAtMs &&
      !signal.aborted &&
      Date.now() < endsAtMs
    );
  }

  /** The gate, and the settlement of the block before if that is still to be done. */
  private async passGate(call: GateCall): Promise<GateAnswer> {
    const { db } = this.deps;
    const before = this.unsettled;
    if (before === null) {
      return passGate(db, call);
    }
    const settled = this.settlementOf(before);
    let answer: GateAnswer | null = null;
    try {
      const both = await settleAndPass(db, settled, call);
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
    return answer ?? passGate(db, call);
  }

  // A content may cost milliseconds a recipient; other lanes and their heartbeats take turns with it.
  private async renderAll(
    recipients: readonly Recipient[],
  ): Promise<{ messages: { n: number; message: OneMessage }[]; failed: number[] }> {
    const messages: { n: number; message: OneMessage }[] = [];
    const failed: number[] = [];
    const startedAtMs = performance.now();
    let turnEndsAtMs = startedAtMs + turnMs;
    for (const recipient of recipients) {
      const message = this.render(recipient);
      if (message !== null) {
        messages.push({ n: recipient.n, message });
      } else if (recipient.addressHash !== null) {
        failed.push(recipient.n);
      }
      if (performance.now() > turnEndsAtMs) {
        await otherEvents();
        turnEndsAtMs = performance.now() + turnMs;
      }
    }
    this.lastRenderingMs = performance.now() - startedAtMs;
    return { messages, failed };
  }

  private async settleRest(): Promise<void> {
    if (this.unsettled !== null) {
      const rest = this.unsettled;
      this.unsettled = null;
      await this.settle(rest);
    }
  }

  private async settle(ended: Ended): Promise<void> {
    const { db } = this.deps;
    const { dispatch, signal } = this.work;
    const { block, outcome } = this.settlementOf(ended);
    this.count(outcome);
    await outlastOutage(signal, async () => {
      if (dispatch.messageCount === 1) {
        await settleAlone(db, block, ended.replies[0]);
        return;
      }
      const isLast = block.lastMessageN === dispatch.lastMessageN;
      const known =
        isLast && isAllAccepted(outcome)
          ? await settleAndEnd(db, block, outcome)
          : { isSettled: false, hasEnded: false };
      this.hasEnded = known.hasEnded;
      if (!known.isSettled) {
        await settleBlock(db, block, outcome);
      }
    });
  }

  private settlementOf({ block, replies }: Ended): { block: LeftBlock; outcome: BlockOutcome } {
    const { dispatch, content } = this.work;
    return {
      block: {
        ...block,
        dispatchN: dispatch.n,
        claimN: dispatch.claimN,
        channel: content.channel,
      },
      outcome: outcomeOfBlock(replies, block.attempt),
    };
  }

  private count({ accepted, refused, doubtful }: BlockOutcome): void {
    this.totals.accepted += accepted.length;
    this.totals.refused += refused.length;
    this.totals.inDoubt += doubtful.length;
  }

  /** What replies mean for the account and for the run. */
  private async afterwards(replies: readonly Reply[]): Promise<'sent' | 'held'> {
    const { db } = this.deps;
    const { wave, sender } = this.work;
    const wait = this.pace.pressure.waitAfter(replies);
    if (wait !== null) {
      await blockAccount(db, sender.accountId, { forMs: wait.delayMs, reason: wait.reason });
      this.isRefused = true;
    }
    if (replies.some(({ outcome }) => outcome.kind === 'throttled')) {
      await slowDown(db, sender.accountId);
    }
    for (const { outcome } of replies) {
      if (outcome.kind === 'messageRefused') {
        await withTenantByKey(db, wave.tenantId, (trx) =>
          holdRun(trx, wave, refusedMessage(outcome.reason)),
        );
        return 'held';
      }
    }
    return 'sent';
  }

  private async end(wait: Wait | null): Promise<SentCounts> {
    const { wave, dispatch, signal } = this.work;
    const { db } = this.deps;
    if (this.attempt === null && !this.isThrough) {
      const until = wait && { notBefore: new Date(Date.now() + wait.delayMs), reason: wait.reason };
      await withTenantByKey(db, wave.tenantId, (trx) =>
        unclaimDispatch(trx, wave.tenantId, wave.runId, dispatch, until),
      );
      return this.totals;
    }
    this.totals.dispatches += this.attempt === null ? 0 : 1;
    if (this.hasEnded) {
      return this.totals;
    }
    const lane = { ...wave, dispatchN: dispatch.n, claimN: dispatch.claimN };
    await outlastOutage(signal, () => endLane(db, lane, wait));
    return this.totals;
  }
}

const turnMs = 25;
