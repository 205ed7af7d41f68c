import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type WorkflowHandle,
} from '@temporalio/client';
import type { Channel } from '../domain/campaigns/types';
import type { Temporal } from '../lib/temporal';
import type { campaign } from '../workflows/campaigns/campaign';
import {
  campaignWorkflowId,
  cancelUpdate,
  ledgerSignal,
  pauseUpdate,
  recordsChangedSignal,
  rescheduleUpdate,
  resumeUpdate,
  runWorkflowId,
  wavesAddedSignal,
  type RunStatus,
  type Steering,
} from '../workflows/campaigns/messages';
import { queues } from '../workflows/queues';
import { searchAttributes } from '../workflows/searchAttributes';
import { summary } from '../workflows/summary';

export interface CampaignRef {
  tenantId: string;
  campaignId: string;
}

/** A run whose workflow can be started; `name` is what its author called the campaign. */
export interface StartableRun extends CampaignRef {
  id: string;
  n: number;
  channel: Channel;
  name: string;
}

/** What people do to a campaign that lives. */
export type SteeringKind = keyof typeof updates;

const updates = {
  pause: pauseUpdate,
  resume: resumeUpdate,
  cancel: cancelUpdate,
  reschedule: rescheduleUpdate,
} as const;

/** What a run's workflow has to hear of. */
export type RunNews = keyof typeof runSignals;

const runSignals = { ledgerChanged: ledgerSignal, wavesAdded: wavesAddedSignal } as const;

/** Starts and steers the workflows of campaigns; the records are always written before. */
export interface CampaignWorkflows {
  /**
   * Resolves when a workflow works for this very run, whoever started it. Rejects when the server
   * does not answer in time, or an older run of the campaign still holds the workflow's id: the
   * reconciler starts it then.
   */
  startCampaign(run: StartableRun): Promise<void>;
  /**
   * Resolves when the workflow has taken up what the records say. Rejects when no worker or server
   * answers in time, or the workflow is not there: the records hold all the same.
   */
  steerCampaign(kind: SteeringKind, campaign: CampaignRef, steering: Steering): Promise<RunStatus>;
  /**
   * Tells a run's workflow that its ledger changed, or that there are new waves; one that is gone is
   * no error.
   */
  signalRun(run: CampaignRef & { runN: number }, what?: RunNews): Promise<void>;
  /** Tells a campaign's workflow to read how its run is steered; one that is gone is no error. */
  signalSteering(campaign: CampaignRef): Promise<void>;
  /** Whether a workflow lives on the server for this very run. */
  isRunAlive(run: CampaignRef & { id: string }): Promise<boolean>;
}

/** The workflows of campaigns behind a client; a deadline is the longest a caller waits. */
export function createCampaignWorkflows(
  { client }: Pick<Temporal, 'client'>,
  deadlines: { startMs?: number; steerMs?: number } = {},
): CampaignWorkflows {
  const { startMs = 5_000, steerMs = 10_000 } = deadlines;
  const within = <T>(ms: number, work: () => Promise<T>) =>
    client.withDeadline(Date.now() + ms, work);
  const handleOf = ({ tenantId, campaignId }: CampaignRef): WorkflowHandle<typeof campaign> =>
    client.workflow.getHandle<typeof campaign>(campaignWorkflowId(tenantId, campaignId));

  return {
    startCampaign: (run) =>
      within(startMs, async () => {
        try {
          await client.workflow.start<typeof campaign>('campaign', {
            workflowId: campaignWorkflowId(run.tenantId, run.campaignId),
            taskQueue: queues.workflows,
            args: [
              {
                tenantId: run.tenantId,
                campaignId: run.campaignId,
                runId: run.id,
                runN: run.n,
                channel: run.channel,
                name: run.name,
              },
            ],
            workflowIdConflictPolicy: 'FAIL',
            workflowIdReusePolicy: 'ALLOW_DUPLICATE',
            memo: { runId: run.id },
            staticSummary: summary(`Email campaign "${run.name}"`),
            typedSearchAttributes: [
              { key: searchAttributes.tenant, value: run.tenantId },
              { key: searchAttributes.kind, value: 'campaign' },
              { key: searchAttributes.status, value: 'scheduled' },
              { key: searchAttributes.campaign, value: run.campaignId },
              { key: searchAttributes.channel, value: run.channel },
            ],
          });
        } catch (error) {
          if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
            throw error;
          }
          // A start whose answer was lost, or another process was quicker; or an older run's end.
          const { memo } = await handleOf(run).describe();
          if (memo?.['runId'] !== run.id) {
            throw error;
          }
        }
      }),

    steerCampaign: (kind, ref, steering) =>
      within(steerMs, () =>
        // By name: the client's types take no definition whose argument may be left out.
        handleOf(ref).executeUpdate<RunStatus, [Steering]>(updates[kind].name, {
          args: [steering],
        }),
      ),

    signalRun: ({ tenantId, campaignId, runN }, what = 'ledgerChanged') =>
      within(startMs, () =>
        unlessGone(() =>
          client.workflow
            .getHandle(runWorkflowId(tenantId, campaignId, runN))
            .signal(runSignals[what]),
        ),
      ),

    signalSteering: (ref) =>
      within(startMs, () => unlessGone(() => handleOf(ref).signal(recordsChangedSignal))),

    isRunAlive: (run) =>
      within(startMs, async () => {
        try {
          const { status, memo } = await handleOf(run).describe();
          return status.name === 'RUNNING' && memo?.['runId'] === run.id;
        } catch (error) {
          if (error instanceof WorkflowNotFoundError) {
            return false;
          }
          throw error;
        }
      }),
  };
}

async function unlessGone(signal: () => Promise<void>): Promise<void> {
  try {
    await signal();
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) {
      throw error;
    }
  }
}
