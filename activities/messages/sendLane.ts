import { messagesPerCall } from '../../domain/messages/rateLimits';
import { withTenantByKey } from '../../models/base';
import { blockAccount, slowDown } from '../../models/messages/accountPace';
import { unclaimDispatch, type ClaimedDispatch, type WaveKey } from '../../models/messages/claims';
import type { GateAnswer } from '../../models/messages/gate';
import { endLane } from '../../models/messages/laneEnds';
import { isOver, type Leave } from '../../models/messages/leave';
import type { Wait } from '../../models/messages/moveOut';
import { loadRecipients, type Recipient } from '../../models/messages/recipients';
import type { ActivityDeps } from '../deps';
import type { AccountSender, OneMessage } from './accountSenders';
import { holdRun, refusedMessage } from './holdRun';
import { LaneSettlements, type EndedBlock } from './laneSettlements';
import { LaneTurns } from './laneTurns';
import { createLimitsOf } from './limitsOf';
import { missedTurn } from './notTaken';
import { outlastOutage } from './outlastOutage';
import type { LinkDeps } from './recipient';
import { inOneGoMs, renderBlock } from './renderBlock';
import { createOneRenderer } from './renderOne';
import { createPressure, type Pressure, type Reply } from './replies';
import type { RunContent } from './runContent';
import { nothingSent, type SentCounts } from './sentCounts';
import { SharedTrips } from './sharedTrips';

type LaneDeps = Pick<ActivityDeps, 'db' | 'leaseMs'> & LinkDeps;

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

// One trip to the database settles a block and passes the gate for the next: so a lane keeps its turn
// for some blocks, but not while others wait for a slow server.
const longestTurnMs = 1_000;

/**
 * Makes the function that takes one claimed dispatch through its calls, block by block: reserve rate,
 * leave out, pass the gate, call, settle. What is left when a limit, the gate or the time ends it goes
 * to a dispatch of its own, so that every message is called once.
 */
export function createSendLane(deps: LaneDeps): (work: LaneWork) => Promise<SentCounts> {
  const pressures = new Map<string, Pressure>();
  const pressureOf = (accountId: string): Pressure => {
    const pressure = pressures.get(accountId) ?? createPressure();
    pressures.set(accountId, pressure);
    return pressure;
  };
  const limitsOf = createLimitsOf(deps.db);
  const trips = new SharedTrips(deps.db);
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
    const turns = new LaneTurns(deps.db, {
      tenantId,
      accountId: sender.accountId,
      signal: work.signal,
      endsAtMs: work.endsAtMs,
      leaseMs: deps.leaseMs,
      limitsNow,
      mostInBlock: messagesPerCall(
        limits.map((limit) => ({ ...limit, unit: 'messages' })),
        sender.mostInBlock,
      ),
    });
    return new Lane(deps, work, {
      recipients,
      turns,
      trips,
      pressure: pressureOf(sender.accountId),
      mayBeExtra: limits.length === 0,
    }).run();
  };
}

/** What became of a block: sent, not let through by the gate, or the lane is over. */
type Turned = { kind: 'sent' | 'shut' } | { kind: 'end'; wait: Wait | null };

/** The state of one dispatch on its way through its blocks. */
class Lane {
  private readonly totals: SentCounts = { ...nothingSent };
  private readonly recipients: readonly Recipient[];
  private readonly turns: LaneTurns;
  private readonly trips: SharedTrips;
  private readonly settlements: LaneSettlements;
  private readonly pressure: Pressure;
  /** Idle connections are no reason for more of what waits for a limit. */
  private readonly mayBeExtra: boolean;
  private readonly render: (recipient: Recipient) => OneMessage | null;
  /** How many recipients have been called or left out, and the first message that has not. */
  private position = 0;
  private firstMessageN: number;
  private attempt: number | null = null;
  /** Every message has been called or left out. */
  private isThrough = false;
  private lastRenderingMs = 0;
  private turnEndsAtMs = 0;

  constructor(
    private readonly deps: LaneDeps,
    private readonly work: LaneWork,
    start: {
      recipients: readonly Recipient[];
      turns: LaneTurns;
      trips: SharedTrips;
      pressure: Pressure;
      mayBeExtra: boolean;
    },
  ) {
    const { dispatch, content, signal } = work;
    this.recipients = start.recipients;
    this.turns = start.turns;
    this.trips = start.trips;
    this.pressure = start.pressure;
    this.mayBeExtra = start.mayBeExtra;
    this.settlements = new LaneSettlements(deps.db, {
      runId: work.wave.runId,
      accountId: work.sender.accountId,
      dispatch,
      channel: content.channel,
      signal,
      totals: this.totals,
      trips: start.trips,
    });
    this.firstMessageN = dispatch.firstMessageN;
    this.render = createOneRenderer(deps, content, work.wave.runId);
  }

  async run(): Promise<SentCounts> {
    const { dispatch, signal, endsAtMs } = this.work;
    let refusals = 0;
    while (this.firstMessageN <= dispatch.lastMessageN) {
      if (signal.aborted || Date.now() >= endsAtMs) {
        return this.end(null);
      }
      const block = await this.inTurn(() => this.nextBlocks());
      if (block.kind === 'end') {
        return this.end(block.wait);
      }
      // Once because the vendor has asked the account to wait, which the next turn finds out.
      refusals = block.kind === 'shut' ? refusals + 1 : 0;
      if (refusals > 1) {
        return this.end(null);
      }
      if (block.kind === 'shut') {
        this.turns.noteRefusal();
      }
    }
    this.isThrough = true;
    return this.end(null);
  }

  /** The turn is over when calls are: what became of the last is written while others have it. */
  private async inTurn(work: () => Promise<Turned>): Promise<Turned> {
    const { wave, sender } = this.work;
    const group = { tenantId: wave.tenantId, accountId: sender.accountId };
    try {
      return await sender.inTurn(() => this.trips.atWork(group, work), this.mayBeExtra);
    } finally {
      await this.settlements.settleRest();
    }
  }

  /** Block after block until another lane should have the turn. */
  private async nextBlocks(): Promise<Turned> {
    this.turnEndsAtMs = performance.now() + longestTurnMs;
    for (;;) {
      const turned = await this.nextBlock();
      if (!this.settlements.isWaiting || this.firstMessageN > this.work.dispatch.lastMessageN) {
        return turned;
      }
    }
  }

  /** Waits for the account's turn and takes the messages that come next as far as they go. */
  private async nextBlock(): Promise<Turned> {
    const { dispatch } = this.work;
    const rest = this.recipients.length - this.position;
    const size = Math.min(this.turns.mostInBlock, Math.max(rest, 1));
    const turn = await this.turns.take(size, () => this.settlements.settleRest());
    if (turn.kind === 'end') {
      return turn;
    }
    const block = this.recipients.slice(this.position, this.position + this.turns.mostInBlock);
    const isLast = this.position + block.length >= this.recipients.length;
    const lastMessageN = isLast
      ? dispatch.lastMessageN
      : (block.at(-1)?.n ?? dispatch.lastMessageN);
    const range = { firstMessageN: this.firstMessageN, lastMessageN };
    const gone = await this.sendBlock(block, range, turn.leave);
    if (gone === 'held') {
      return { kind: 'end', wait: null };
    }
    if (gone === 'sent') {
      this.position += block.length;
      this.firstMessageN = lastMessageN + 1;
    }
    return { kind: gone };
  }

  private async sendBlock(
    recipients: readonly Recipient[],
    range: { firstMessageN: number; lastMessageN: number },
    leave: Leave | null,
  ): Promise<'sent' | 'shut' | 'held'> {
    const { wave, dispatch, content, sender } = this.work;
    const { tenantId, runId } = wave;
    const { messages, failed, tookMs } = await renderBlock(recipients, this.render);
    this.lastRenderingMs = tookMs;
    const gate = await this.settlements.passGate({
      tenantId,
      runId,
      channel: content.channel,
      dispatch,
      leaseMs: this.deps.leaseMs,
      leaveBefore: leave?.before ?? null,
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
    const replies = await Promise.all(this.startCalls(messages.splice(0), gate, leave));
    const ended = { block: { ...range, tenantId, runId, attempt: gate.attempt }, replies };
    if (this.maySettleLater(ended)) {
      this.settlements.settleLater(ended);
    } else {
      await this.settlements.settle(ended);
    }
    return this.afterwards(replies);
  }

  // A function of its own: once the calls are under way nobody but they may hold the texts, which live
  // long enough to be copied by every collection of garbage.
  private startCalls(
    messages: { n: number; message: OneMessage }[],
    { attempt, leftOut }: Extract<GateAnswer, { kind: 'open' }>,
    leave: Leave | null,
  ): Promise<Reply>[] {
    const { wave, dispatch, sender } = this.work;
    const { runId } = wave;
    return messages
      .filter(({ n }) => !leftOut.has(n))
      .map(({ n, message }) => {
        const reference = { runId, dispatchN: dispatch.n, attempt, messageN: n };
        const address = message.channel === 'email' ? message.to.email : message.to;
        const called = isOver(leave)
          ? Promise.resolve(missedTurn)
          : sender.send(message, reference, leave?.beforeMs);
        return called.then((outcome) => ({ n, address, outcome }));
      });
  }

  /** Only right afterwards, with the next gate or the end: until then a process that dies leaves a doubt. */
  private maySettleLater({ block, replies }: EndedBlock): boolean {
    const { dispatch, signal, endsAtMs } = this.work;
    return (
      replies.every(({ outcome }) => outcome.kind === 'accepted') &&
      (block.lastMessageN === dispatch.lastMessageN ||
        (this.turns.isUnlimited &&
          this.lastRenderingMs < inOneGoMs &&
          performance.now() < this.turnEndsAtMs &&
          !signal.aborted &&
          Date.now() < endsAtMs))
    );
  }

  /** What replies mean for the account and for the run. */
  private async afterwards(replies: readonly Reply[]): Promise<'sent' | 'held'> {
    const { db } = this.deps;
    const { wave, sender } = this.work;
    const wait = this.pressure.waitAfter(replies);
    if (wait !== null) {
      await blockAccount(db, sender.accountId, { forMs: wait.delayMs, reason: wait.reason });
      this.turns.noteRefusal();
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
    if (this.settlements.hasEnded) {
      return this.totals;
    }
    const lane = { ...wave, dispatchN: dispatch.n, claimN: dispatch.claimN };
    await outlastOutage(signal, () => endLane(db, lane, wait));
    return this.totals;
  }
}
