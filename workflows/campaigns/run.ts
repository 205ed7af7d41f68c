import {
  CancellationScope,
  condition,
  continueAsNew,
  executeChild,
  log,
  ParentClosePolicy,
  patched,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { Gate } from '../../domain/campaigns/types';
import type { PlannedWaveRef, RunPlan } from '../../activities/campaigns/runs';
import { planning, records } from '../proxies';
import { searchAttributes } from '../searchAttributes';
import {
  gateSignal,
  heldUpSignal,
  ledgerSignal,
  replanSignal,
  statusQuery,
  stopSignal,
  wavesAddedSignal,
  waveWorkflowId,
  type CampaignInput,
  type DoneByLanes,
  type HeldUp,
  type RunStatus,
} from './messages';
import { summary } from '../summary';
import { LivingWaves } from './livingWaves';
import { RunDoubts } from './runDoubts';
import { tellStatus } from './tellStatus';
import { WavesSaid } from './wavesSaid';
import { campaignWave, type WaveResult } from './wave';
import { count, describeWave, describeWaveWait } from './words';

const system = { kind: 'system', id: null } as const;
// A doubt that events settle wakes the run by a signal; this only bounds a lost one.
const longestBlindWaitMs = 15 * 60_000;
const pauseAfterLostWave = '2s';

/**
 * One occurrence of a campaign: waits until its plan is due, has the ledger written, runs each wave
 * as a child, gives late and doubtful calls their next wave, and ends when nothing is open.
 */
export async function campaignRun(input: CampaignInput): Promise<RunStatus> {
  const run = new CampaignRunState(input);
  setHandler(statusQuery, () => run.status(), { description: 'How the run stands.' });
  setHandler(gateSignal, (gate, steering, reason) => run.changeGate(gate, steering, reason), {
    description: 'The gate in the records has changed.',
  });
  setHandler(heldUpSignal, (wave, heldUp) => run.noteHeldUp(wave, heldUp), {
    description: 'What calls of a wave that are due wait for.',
  });
  setHandler(replanSignal, () => run.askReplan(), {
    description: 'A newer plan version is in the records.',
  });
  setHandler(ledgerSignal, () => run.askReview(), {
    description: 'The ledger was changed by an event or a person.',
  });
  setHandler(wavesAddedSignal, () => run.askForWaves(), {
    description: 'A person had a new wave made for messages that were not sent.',
  });
  // Cancelling the run means cancelling the campaign: the gate closes, and the run goes on to its end.
  void CancellationScope.current().cancelRequested.catch(() =>
    CancellationScope.nonCancellable(() => run.closeGate('Cancelled in the Temporal UI')),
  );
  return CancellationScope.nonCancellable(async () => {
    await run.waitForPlanning();
    while (!run.isClosed()) {
      await run.sendWaves();
      const isSettled = await run.review();
      if (isSettled) {
        break;
      }
      // No wave is living here and the records know everything, so a new history starts from them.
      if (workflowInfo().continueAsNewSuggested) {
        await continueAsNew<typeof campaignRun>(input);
      }
    }
    return run.finish();
  });
}

/** The state of one run between its messages; every method is one step of the story above. */
class CampaignRunState {
  private readonly ref: { tenantId: string; runId: string };
  private gate: Gate = 'open';
  private gateReason: string | undefined;
  /** How new the gate is; an answer that was read earlier does not change it. */
  private steering = 0;
  private gateMessages = 0;
  private planVersion = 1;
  private planned = 0;
  private leftOutAtPlan = 0;
  /** What waves that returned have done, and what the ledger said when all had. */
  private sent: DoneByLanes = { accepted: 0, refused: 0, leftOut: 0, inDoubt: 0 };
  private isReplanAsked = false;
  private isReviewAsked = false;
  private areWavesAdded = false;
  private readonly doubts: RunDoubts;
  private ended: RunStatus['status'] | null = null;
  private explanation = 'Counting the audience.';
  private nextRunAt: string | null = null;
  private totalWaves = 0;
  private readonly living = new LivingWaves();
  private queue: PlannedWaveRef[] = [];
  private readonly wavesSaid = new WavesSaid();

  constructor(private readonly input: CampaignInput) {
    this.ref = { tenantId: input.tenantId, runId: input.runId };
    this.doubts = new RunDoubts(this.ref, () => {
      this.areWavesAdded = true;
    });
  }

  status(): RunStatus {
    const done = sumOf([this.sent, ...this.wavesSaid.done()]);
    return {
      status: this.ended ?? this.currentStatus(),
      gate: this.gate,
      explanation: this.explanation,
      nextRunAt: this.nextRunAt,
      planned: this.planned,
      accepted: done.accepted,
      refused: done.refused,
      leftOut: done.leftOut + this.leftOutAtPlan,
      inDoubt: done.inDoubt,
      open: Math.max(this.planned - done.accepted - done.refused - done.leftOut - done.inDoubt, 0),
      wavesOpen: this.living.size + this.queue.length,
      waves: this.totalWaves,
    };
  }

  isClosed(): boolean {
    return this.gate === 'closed';
  }

  changeGate(gate: Gate, steering: number, reason?: string): void {
    if (steering < this.steering) {
      return;
    }
    this.gate = gate;
    this.steering = steering;
    this.gateReason = reason;
    this.gateMessages += 1;
  }

  async closeGate(reason: string): Promise<void> {
    const steering = await records.setRunGate({
      ...this.ref,
      gate: 'closed',
      reason,
      actor: { kind: 'operator', id: null },
    });
    this.changeGate(steering.gate, steering.steering, steering.reason ?? undefined);
  }

  noteHeldUp(wave: string, heldUp: HeldUp): void {
    if (this.living.has(wave)) {
      this.wavesSaid.note(wave, heldUp);
    }
  }

  askReplan(): void {
    this.isReplanAsked = true;
  }

  askReview(): void {
    this.isReviewAsked = true;
  }

  askForWaves(): void {
    // Histories of before were written by a run that did not listen.
    if (patched('takesUpAddedWaves')) {
      this.areWavesAdded = true;
      this.isReviewAsked = true;
    }
  }

  /** Sleeps until the ledger is to be written; a new schedule or a cancel wakes it. */
  async waitForPlanning(): Promise<void> {
    while (!this.isClosed()) {
      this.isReplanAsked = false;
      const estimate = await records.estimateRun(this.ref);
      this.changeGate(estimate.gate, estimate.steering);
      this.planVersion = estimate.planVersion;
      this.nextRunAt = estimate.firstWaveAt;
      this.totalWaves = estimate.waves;
      const waitMs = Date.parse(estimate.planAt) - Date.now();
      const about = `${count(estimate.customers, 'customer')} in ${count(estimate.waves, 'wave')}`;
      if (waitMs > 0) {
        await this.tell(
          `Scheduled: first wave at ${estimate.firstWaveAt}${describeWaveWait(estimate.waitsFor)}, ${about}. ` +
            `The audience is fixed at ${estimate.planAt}.`,
        );
        await condition(() => this.isReplanAsked || this.isClosed(), waitMs, {
          summary: `Fixes the audience 30 minutes before the first wave: ${about}`,
        });
        if (this.isReplanAsked || this.isClosed()) {
          continue;
        }
      }
      await this.tell(`Writing the plan: ${about}.`);
      const plan = await planning.planAudience({ ...this.ref, planVersion: estimate.planVersion });
      if (plan !== null) {
        this.take(plan);
        return;
      }
    }
  }

  /** Runs every wave that is not done, and takes up pause, reschedule and cancel while they run. */
  async sendWaves(): Promise<void> {
    const results: Promise<void>[] = [];
    let toldMessages = this.gateMessages;
    for (;;) {
      if (this.areWavesAdded) {
        await this.takeAddedWaves();
      }
      for (const wave of this.queue.splice(0)) {
        results.push(this.runWave(wave));
      }
      await this.tell(`${this.describe()}${this.doubts.describe()}`);
      if (this.living.size === 0) {
        break;
      }
      const doubtsAtMs = this.settleDoubtsWhileSending();
      const looksBefore = this.doubts.looks;
      const livingBefore = this.living.size;
      const heldUpBefore = this.wavesSaid.messages;
      const wakes = () =>
        this.living.size !== livingBefore ||
        this.queue.length > 0 ||
        this.gateMessages !== toldMessages ||
        this.wavesSaid.messages !== heldUpBefore ||
        this.doubts.looks !== looksBefore ||
        this.areWavesAdded ||
        this.isReplanAsked ||
        this.isClosed();
      const { next } = this.living;
      const openMs = next === null ? null : Date.parse(next.startsAt) - Date.now() + 100;
      const doubtsMs = doubtsAtMs === null ? null : Math.max(doubtsAtMs - Date.now(), 1_000);
      if (doubtsMs !== null && (openMs === null || doubtsMs < openMs)) {
        await condition(wakes, doubtsMs, { summary: 'Next: looks after calls in doubt' });
      } else if (next !== null && openMs !== null) {
        await condition(wakes, openMs, {
          summary: summary(`Next: ${describeWave(next, this.totalWaves)}`),
        });
      } else {
        await condition(wakes);
      }
      if (this.isClosed() || this.isReplanAsked) {
        await this.stopWaves();
        await Promise.all(results);
        break;
      }
      if (this.gateMessages !== toldMessages) {
        toldMessages = this.gateMessages;
        this.wavesSaid.forgetWhatHoldsUp();
        await this.living.signal((wave) =>
          wave.signal(gateSignal, this.gate, this.steering, this.gateReason),
        );
      }
    }
    if (this.isReplanAsked && !this.isClosed()) {
      this.isReplanAsked = false;
      this.queue = [];
      this.take(await records.replan(this.ref));
    }
  }

  /**
   * Looks at the ledger once all waves have returned. Answers true when nothing is open; otherwise
   * waits for what can change that, or finds new waves to run.
   */
  async review(): Promise<boolean> {
    this.isReviewAsked = false;
    this.areWavesAdded = false;
    const review = await records.reviewRun(this.ref);
    const { counts } = review;
    this.sent = {
      accepted: counts.accepted,
      refused: counts.refused,
      leftOut: counts.leftOut,
      inDoubt: counts.inDoubt,
    };
    this.take(review.plan);
    this.gateReason = review.gateReason ?? undefined;
    if (this.queue.length > 0 || this.isClosed()) {
      return this.isClosed();
    }
    if (review.planned + review.held + review.inDoubt === 0) {
      return true;
    }
    const mayLook = review.inDoubt > 0 && patched('settlesDoubtsInReview');
    if (mayLook && (await this.doubts.settle()) > 0) {
      return false;
    }
    const lookAgainAtMs = Math.min(
      review.lookAgainAt === null ? Date.now() + 5_000 : Date.parse(review.lookAgainAt),
      mayLook ? this.doubts.nextAtMs : Number.POSITIVE_INFINITY,
    );
    const waitMs = Math.max(lookAgainAtMs - Date.now(), 1_000);
    const waitsFor =
      review.inDoubt > 0
        ? `${count(review.inDoubt, 'call')} in doubt: waits for events until ${review.lookAgainAt}`
        : `Waits for ${count(review.held, 'call')} that a worker holds`;
    await this.tell(`${waitsFor}.${mayLook ? this.doubts.describe() : ''}`);
    await condition(
      () => this.isReviewAsked || this.isReplanAsked || this.isClosed(),
      Math.min(waitMs, longestBlindWaitMs),
      { summary: summary(waitsFor) },
    );
    return false;
  }

  /** Writes the ending: what was planned and never called is cancelled, or all is completed. */
  async finish(): Promise<RunStatus> {
    const state = this.isClosed() ? 'cancelled' : 'completed';
    if (state === 'cancelled') {
      await records.cancelRest(this.ref);
    }
    const counts = await records.finishRun({ ...this.ref, state, actor: system });
    this.planned = counts.planned;
    this.sent = {
      accepted: counts.accepted,
      refused: counts.refused,
      leftOut: counts.leftOut,
      inDoubt: counts.inDoubt,
    };
    this.ended = state;
    this.nextRunAt = null;
    await this.tell(
      state === 'completed'
        ? `Completed: ${count(counts.accepted, 'message')} accepted.`
        : `Cancelled: ${count(counts.accepted, 'message')} accepted before, ${counts.cancelled} cancelled.`,
    );
    return this.status();
  }

  private currentStatus(): RunStatus['status'] {
    if (this.gate === 'paused') {
      return 'paused';
    }
    return this.hasBegun() ? 'sending' : 'scheduled';
  }

  private hasBegun(): boolean {
    const hasSent = this.sent.accepted + this.sent.inDoubt + this.sent.refused > 0;
    return hasSent || this.living.sending > 0;
  }

  private take(plan: RunPlan): void {
    if (plan.gate !== this.gate) {
      this.changeGate(plan.gate, plan.steering);
    }
    this.planVersion = plan.planVersion;
    this.planned = plan.planned;
    this.leftOutAtPlan = plan.leftOut;
    for (const wave of plan.waves) {
      const id = this.idOf(wave);
      if (!this.living.has(id) && !this.queue.some((queued) => this.idOf(queued) === id)) {
        this.queue.push(wave);
      }
    }
    this.totalWaves = Math.max(this.totalWaves, ...plan.waves.map((wave) => wave.n));
    this.nextRunAt = earliestStart(this.queue) ?? this.nextRunAt;
  }

  private idOf(wave: PlannedWaveRef): string {
    return waveWorkflowId(workflowInfo().workflowId, wave.planVersion, wave.n);
  }

  private async runWave(wave: PlannedWaveRef): Promise<void> {
    const workflowId = this.idOf(wave);
    this.living.add(workflowId, wave);
    this.doubts.lookSoon();
    let result: WaveResult | null = null;
    try {
      result = await executeChild(campaignWave, {
        workflowId,
        args: [
          {
            ...this.ref,
            wave,
            wavesInPlan: Math.max(this.totalWaves, wave.n),
            gate: this.gate,
            steering: this.steering,
          },
        ],
        parentClosePolicy: ParentClosePolicy.TERMINATE,
        staticSummary: summary(describeWave(wave, this.totalWaves)),
        typedSearchAttributes: [
          { key: searchAttributes.tenant, value: this.input.tenantId },
          { key: searchAttributes.kind, value: 'wave' },
          { key: searchAttributes.campaign, value: this.input.campaignId },
          { key: searchAttributes.channel, value: this.input.channel },
          { key: searchAttributes.nextRunAt, value: new Date(wave.startsAt) },
          { key: searchAttributes.recipients, value: wave.customers },
        ],
      });
    } catch (error) {
      // Somebody terminated the wave: it is run again for what it left open.
      log.warn('a wave ended without a result', { wave: workflowId, error: String(error) });
      await sleep(pauseAfterLostWave, { summary: `Lost: ${workflowId.slice(-20)}` });
    } finally {
      this.living.remove(workflowId);
      this.wavesSaid.forget(workflowId);
    }
    if (result === null) {
      if (!this.isClosed() && !this.isReplanAsked) {
        this.queue.push(wave);
      }
      return;
    }
    this.sent = sumOf([this.sent, result]);
    if (result.inDoubt > 0) {
      this.doubts.lookSoon();
    }
    if (result.ended === 'closed' && !this.isClosed() && !this.isReplanAsked) {
      const plan = await records.replanLateWave({
        ...this.ref,
        planVersion: wave.planVersion,
        waveN: wave.n,
      });
      if (plan.planVersion === wave.planVersion) {
        this.take(plan);
      } else {
        this.isReplanAsked = true;
      }
    }
  }

  /**
   * Looks after doubts that earlier waves left, beside those that still run; answers when it is time
   * to again. Whole days may lie between the first wave and the last.
   */
  private settleDoubtsWhileSending(): number | null {
    if (this.sent.inDoubt === 0 || this.isClosed() || !patched('settlesDoubtsWhileSending')) {
      return null;
    }
    void this.doubts.settle();
    return this.doubts.isPlanned ? this.doubts.nextAtMs : null;
  }

  private async takeAddedWaves(): Promise<void> {
    this.areWavesAdded = false;
    const plan = await records.readRunPlan(this.ref);
    if (plan.planVersion === this.planVersion) {
      this.take(plan);
    } else {
      this.isReplanAsked = true;
    }
  }

  /** Asks the living waves to stop until all have: one that has not begun yet hears no signal. */
  private async stopWaves(): Promise<void> {
    for (let waitMs = 1_000; this.living.size > 0; waitMs = Math.min(waitMs * 2, 30_000)) {
      await this.living.signal((wave) => wave.signal(stopSignal));
      await condition(() => this.living.size === 0, waitMs, {
        summary: `Until ${count(this.living.size, 'wave')} ended the calls under way`,
      });
    }
  }

  private describe(): string {
    if (this.gate === 'paused') {
      return this.gateReason === undefined ? 'Paused.' : `Paused: ${this.gateReason}`;
    }
    const { next, sending } = this.living;
    const parts = [
      sending > 0 ? `${count(sending, 'wave')} sending` : null,
      this.wavesSaid.describe(),
      next === null
        ? null
        : `${count(this.living.size - sending, 'wave')} waiting, the next until ${next.startsAt}${describeWaveWait(next.waitsFor)}`,
    ].filter((part) => part !== null);
    return parts.length === 0 ? 'All waves have returned.' : `${parts.join('; ')}.`;
  }

  /** Shows how the run stands: here, in the Temporal UI, and to the campaign. */
  private async tell(explanation: string): Promise<void> {
    this.explanation = explanation;
    this.nextRunAt = this.living.size > 0 ? (this.living.next?.startsAt ?? null) : this.nextRunAt;
    await tellStatus(this.status());
  }
}

function sumOf(parts: readonly DoneByLanes[]): DoneByLanes {
  const sum = { accepted: 0, refused: 0, leftOut: 0, inDoubt: 0 };
  for (const part of parts) {
    sum.accepted += part.accepted;
    sum.refused += part.refused;
    sum.leftOut += part.leftOut;
    sum.inDoubt += part.inDoubt;
  }
  return sum;
}

function earliestStart(waves: PlannedWaveRef[]): string | null {
  return waves.map((wave) => wave.startsAt).sort()[0] ?? null;
}
