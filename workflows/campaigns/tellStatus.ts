import {
  getExternalWorkflowHandle,
  log,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { searchAttributes } from '../searchAttributes';
import { progressSignal, type RunStatus } from './messages';
import { describeStatus } from './words';

/**
 * Shows how a run stands: in its current details, in its search attributes, and to the campaign that
 * started it. It never throws.
 */
export async function tellStatus(status: RunStatus): Promise<void> {
  setCurrentDetails(describeStatus(status));
  upsertSearchAttributes([
    { key: searchAttributes.status, value: status.status },
    {
      key: searchAttributes.nextRunAt,
      value: status.nextRunAt === null ? null : new Date(status.nextRunAt),
    },
    { key: searchAttributes.recipients, value: status.planned },
    { key: searchAttributes.failed, value: status.refused },
  ]);
  const { parent } = workflowInfo();
  if (parent === undefined) {
    return;
  }
  try {
    await getExternalWorkflowHandle(parent.workflowId).signal(progressSignal, status);
  } catch (error) {
    // What it shows is behind then; what the run does is not changed by it.
    log.warn('the campaign did not hear how its run stands', { error: String(error) });
  }
}
