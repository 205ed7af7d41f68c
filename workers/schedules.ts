import {
  ScheduleAlreadyRunning,
  ScheduleOverlapPolicy,
  WorkflowExecutionAlreadyStartedError,
  type Client,
} from '@temporalio/client';
import { queues } from '../workflows/queues';
import { searchAttributes } from '../workflows/searchAttributes';

/**
 * Makes sure that the standing work exists: the reconciler on its Schedule, and the workflow that
 * applies provider events. Every worker calls it; only the first one changes anything.
 */
export async function ensureStandingWork(client: Client): Promise<void> {
  try {
    await client.schedule.create({
      scheduleId: 'reconcile',
      spec: { intervals: [{ every: '5 minutes' }] },
      action: {
        type: 'startWorkflow',
        workflowType: 'reconcile',
        workflowId: 'reconcile',
        taskQueue: queues.workflows,
        staticSummary: 'Compares the records with what runs',
        typedSearchAttributes: [{ key: searchAttributes.kind, value: 'reconcile' }],
      },
      policies: { overlap: ScheduleOverlapPolicy.BUFFER_ONE, catchupWindow: '1 minute' },
      state: { triggerImmediately: true },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) {
      throw error;
    }
  }
  try {
    await client.workflow.start('applyProviderEvents', {
      workflowId: 'events',
      taskQueue: queues.workflows,
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: 'Turns provider events into facts on the ledger',
      typedSearchAttributes: [{ key: searchAttributes.kind, value: 'events' }],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
      throw error;
    }
  }
}
