import {
  ScheduleAlreadyRunning,
  ScheduleOverlapPolicy,
  WorkflowExecutionAlreadyStartedError,
  type Client,
  type WorkflowHandle,
} from '@temporalio/client';
import type { Duration } from '@temporalio/common';
import { resealingWorkflowId, type resealing } from '../workflows/identity/resealing';
import { queues } from '../workflows/queues';
import { searchAttributes } from '../workflows/searchAttributes';

/**
 * Makes sure that the standing work exists: the reconciler and what tends sign-ins on their Schedules, the workflow that
 * applies provider events, and the one that sends transactional messages. Every worker calls it; only the first one changes anything.
 */
export async function ensureStandingWork(client: Client): Promise<void> {
  await scheduleUnlessThere(client, {
    workflowType: 'reconcile',
    every: '5 minutes',
    summary: 'Compares the records with what runs',
  });
  await scheduleUnlessThere(client, {
    workflowType: 'tendSignIn',
    every: '1 hour',
    summary: 'Renews the key of access tokens, forgets sign-ins long over',
  });
  await scheduleUnlessThere(client, {
    workflowType: 'tendLlm',
    every: '5 minutes',
    summary: 'Settles calls of language models that nobody will settle, reads lists of models',
  });
  await startUnlessThere(client, {
    workflowType: 'applyProviderEvents',
    id: 'events',
    summary: 'Turns provider events into facts on the ledger',
  });
  await startUnlessThere(client, {
    workflowType: 'transactional',
    id: 'transactional',
    summary: 'Sends messages that tenants ask for one by one',
  });
}

/**
 * Starts what brings all sealed values under this key, unless it runs: it ends by itself, and begins
 * anew whenever this is called again.
 */
export async function startResealing(
  client: Client,
  keyId: string,
): Promise<WorkflowHandle<typeof resealing>> {
  return client.workflow.start<typeof resealing>('resealing', {
    workflowId: resealingWorkflowId(keyId),
    taskQueue: queues.workflows,
    args: [{ keyId }],
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `Seals every secret again with the key ${keyId}`,
    typedSearchAttributes: [{ key: searchAttributes.kind, value: 'resealing' }],
  });
}

async function scheduleUnlessThere(
  client: Client,
  { workflowType, every, summary }: { workflowType: string; every: Duration; summary: string },
): Promise<void> {
  try {
    await client.schedule.create({
      scheduleId: workflowType,
      spec: { intervals: [{ every }] },
      action: {
        type: 'startWorkflow',
        workflowType,
        workflowId: workflowType,
        taskQueue: queues.workflows,
        staticSummary: summary,
        typedSearchAttributes: [{ key: searchAttributes.kind, value: workflowType }],
      },
      policies: { overlap: ScheduleOverlapPolicy.BUFFER_ONE, catchupWindow: '1 minute' },
      state: { triggerImmediately: true },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) {
      throw error;
    }
  }
}

async function startUnlessThere(
  client: Client,
  workflow: { workflowType: string; id: string; summary: string },
): Promise<void> {
  try {
    await client.workflow.start(workflow.workflowType, {
      workflowId: workflow.id,
      taskQueue: queues.workflows,
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: workflow.summary,
      typedSearchAttributes: [{ key: searchAttributes.kind, value: workflow.id }],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
      throw error;
    }
  }
}
