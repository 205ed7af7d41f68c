import {
  allHandlersFinished,
  CancellationScope,
  condition,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Actor, Gate } from '../../domain/campaigns/types';
import type { RunSteering } from '../../activities/campaigns/runs';
import { records } from '../proxies';
import { searchAttributes } from '../searchAttributes';
import { summary } from '../summary';
import {
  cancelUpdate,
  gateSignal,
  pauseUpdate,
  progressSignal,
  recordsChangedSignal,
  replanSignal,
  rescheduleUpdate,
  resumeUpdate,
  runWorkflowId,
  statusQuery,
  type CampaignInput,
  type RunStatus,
  type Steering,
} from './messages';
import { campaignRun } from './run';
import { describeStatus } from './words';

const operator: Actor = { kind: 'operator', id: null };

/**
 * The life of a campaign: runs its occurrence as a child and is what people steer. Pause, resume
 * and cancel write the gate in the records first, so they hold at once; cancelling this workflow
 * from the Temporal UI means the same as the update `cancel`.
 */
export async function campaign(input: CampaignInput): Promise<RunStatus> {
  const ref = { tenantId: input.tenantId, runId: input.runId };
  const runId = runWorkflowId(input.tenantId, input.campaignId, input.runN);
  const run = getExternalWorkflowHandle(runId);
  let hasEnded = false;
  let status: RunStatus = {
    status: 'scheduled',
    gate: 'open',
    explanation: 'Starting.',
    nextRunAt: null,
    planned: 0,
    accepted: 0,
    refused: 0,
    leftOut: 0,
    inDoubt: 0,
    open: 0,
    wavesOpen: 0,
    waves: 0,
  };

  const mustBeOpen = (_steering?: Steering) => {
    if (hasEnded) {
      throw new Error('The campaign has ended.');
    }
  };
  let known = { steering: 0, planVersion: 1 };
  const passOn = async (found: RunSteering) => {
    if (found.steering < known.steering || hasEnded) {
      return;
    }
    const isNewPlan = found.planVersion > known.planVersion;
    known = found;
    status = { ...status, gate: found.gate };
    try {
      await run.signal(gateSignal, found.gate, found.steering, found.reason ?? undefined);
      if (isNewPlan) {
        await run.signal(replanSignal);
      }
    } catch (error) {
      // The run ended while it was steered: its result is on the way here.
      log.info('the run was gone when it was steered', { error: String(error) });
    }
  };
  const takeUpSteering = async (): Promise<RunStatus> => {
    await passOn(await records.readSteering(ref));
    return status;
  };
  const steer = async (gate: Gate, steering: Steering = {}): Promise<RunStatus> => {
    if (steering.actor !== undefined) {
      // The API has written it. Written again, and late, it would undo what came after it.
      return takeUpSteering();
    }
    const { steering: ifSteering } = await records.readSteering(ref);
    const reason = steering.reason ?? null;
    await passOn(await records.setRunGate({ ...ref, gate, reason, actor: operator, ifSteering }));
    return status;
  };

  setHandler(statusQuery, () => status, { description: 'How the campaign stands.' });
  setHandler(
    progressSignal,
    (next) => {
      status = next;
      setCurrentDetails(describeStatus(next));
      upsertSearchAttributes([
        { key: searchAttributes.status, value: next.status },
        {
          key: searchAttributes.nextRunAt,
          value: next.nextRunAt === null ? null : new Date(next.nextRunAt),
        },
        { key: searchAttributes.recipients, value: next.planned },
        { key: searchAttributes.failed, value: next.refused },
      ]);
    },
    { description: 'The run tells how it stands.' },
  );
  setHandler(pauseUpdate, (steering) => steer('paused', steering), {
    validator: mustBeOpen,
    description: 'No call to the provider leaves until resume. Input: none, or {reason}.',
  });
  setHandler(resumeUpdate, (steering) => steer('open', steering), {
    validator: mustBeOpen,
    description: 'Goes on after a pause. Input: none.',
  });
  setHandler(cancelUpdate, (steering) => steer('closed', steering), {
    validator: mustBeOpen,
    description: 'Ends the campaign; what was not sent is cancelled. Input: none, or {reason}.',
  });
  setHandler(rescheduleUpdate, takeUpSteering, {
    validator: mustBeOpen,
    description: 'Takes up the schedule stored by the API. Input: none.',
  });
  setHandler(
    recordsChangedSignal,
    async () => {
      await takeUpSteering();
    },
    { description: 'Read again how the run is steered.' },
  );

  const ending = CancellationScope.nonCancellable(() =>
    executeChild(campaignRun, {
      workflowId: runId,
      args: [input],
      staticSummary: summary(`Run ${input.runN} of "${input.name}"`),
      typedSearchAttributes: [
        { key: searchAttributes.tenant, value: input.tenantId },
        { key: searchAttributes.kind, value: 'run' },
        { key: searchAttributes.campaign, value: input.campaignId },
        { key: searchAttributes.channel, value: input.channel },
        { key: searchAttributes.status, value: 'scheduled' },
      ],
    }),
  );
  const cancelled = CancellationScope.current().cancelRequested.catch(async (error: unknown) => {
    if (!isCancellation(error)) {
      throw error;
    }
    await CancellationScope.nonCancellable(() =>
      steer('closed', { reason: 'Cancelled in the Temporal UI' }),
    );
  });
  void cancelled;
  status = await ending;
  hasEnded = true;
  setCurrentDetails(describeStatus(status));
  await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
  return status;
}
