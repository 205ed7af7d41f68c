import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Actor, CampaignStatus, Channel, Gate } from '../../domain/campaigns/types';

/** The campaign's workflow: one at a time for each campaign. */
export function campaignWorkflowId(tenantId: string, campaignId: string): string {
  return `campaign/${tenantId}/${campaignId}`;
}

/** One occurrence of the campaign. */
export function runWorkflowId(tenantId: string, campaignId: string, runN: number): string {
  return `${campaignWorkflowId(tenantId, campaignId)}/run/${runN}`;
}

/** One wave of one version of a run's plan. */
export function waveWorkflowId(runWorkflow: string, planVersion: number, waveN: number): string {
  return `${runWorkflow}/wave/${planVersion}-${waveN}`;
}

export interface CampaignInput {
  tenantId: string;
  campaignId: string;
  runId: string;
  runN: number;
  channel: Channel;
  /** What the author called it, shown to operators. */
  name: string;
}

export interface RunStatus {
  status: CampaignStatus;
  gate: Gate;
  /** Why it stands still or what comes next, for people. */
  explanation: string;
  nextRunAt: string | null;
  planned: number;
  accepted: number;
  refused: number;
  leftOut: number;
  inDoubt: number;
  open: number;
  wavesOpen: number;
  waves: number;
}

/** What holds calls up that are due: a limit of the account, or the provider. */
export interface HeldUp {
  reason: string;
  until: string | null;
  /** What the wave's lanes have done by then; waves of an earlier version do not say. */
  done?: DoneByLanes;
}

/** What became of messages in a wave's lanes. */
export interface DoneByLanes {
  accepted: number;
  refused: number;
  leftOut: number;
  inDoubt: number;
}

/** The update's argument may be left out: then an operator did it. */
export interface Steering {
  actor?: Actor;
  reason?: string;
}

export const pauseUpdate = defineUpdate<RunStatus, [Steering?]>('pause');
export const resumeUpdate = defineUpdate<RunStatus, [Steering?]>('resume');
export const cancelUpdate = defineUpdate<RunStatus, [Steering?]>('cancel');
/** Takes up the schedule that is stored with the run's newest plan version. */
export const rescheduleUpdate = defineUpdate<RunStatus, [Steering?]>('reschedule');
export const statusQuery = defineQuery<RunStatus>('status');

/**
 * The run's gate has changed in the records: the gate, how new that is (what is older than known is
 * ignored), and why.
 */
export const gateSignal = defineSignal<[Gate, number, string?]>('gate');
/** Somebody steered the run in the records and the workflow may have missed it. */
export const recordsChangedSignal = defineSignal('recordsChanged');
/** The stored plan version is newer than the running one. */
export const replanSignal = defineSignal('replan');
/** Something outside changed the ledger of this run: look again. */
export const ledgerSignal = defineSignal('ledgerChanged');
/** A new wave of the newest plan is in the records: take it up while the others still run. */
export const wavesAddedSignal = defineSignal('wavesAdded');
/** A child tells its campaign how it stands. */
export const progressSignal = defineSignal<[RunStatus]>('progress');
/** A wave tells its run, by its workflow id, what its calls wait for and, if that is known, until when. */
export const heldUpSignal = defineSignal<[string, HeldUp]>('heldUp');
/** The wave is to let its slices finish and return what is left. */
export const stopSignal = defineSignal('stop');
