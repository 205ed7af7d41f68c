import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Channel } from '../domain/campaigns/types';
import type { Temporal } from '../lib/temporal';
import { testSendWorkflowId, type testSend } from '../workflows/campaigns/testSend';
import { queues } from '../workflows/queues';
import { searchAttributes } from '../workflows/searchAttributes';
import { summary } from '../workflows/summary';

/** A test that is written down; `name` is what its campaign is called. */
export interface StartableTestSend {
  id: string;
  tenantId: string;
  campaignId: string;
  name: string;
  channel: Channel;
  recipients: number;
}

/** The workflows of tests; the record is always written before. */
export interface TestSends {
  /**
   * Resolves when the test has ended or the caller has waited long enough: its record says which.
   * Rejects when the workflow cannot be started now; it may have been started all the same.
   */
  sendTest(test: StartableTestSend): Promise<void>;
}

/** The workflows of tests behind a client; a deadline is the longest a caller waits. */
export function createTestSends(
  { client }: Pick<Temporal, 'client'>,
  deadlines: { startMs?: number; waitMs?: number } = {},
): TestSends {
  const { startMs = 5_000, waitMs = 15_000 } = deadlines;

  async function start(test: StartableTestSend): Promise<void> {
    try {
      await client.workflow.start<typeof testSend>('testSend', {
        workflowId: testSendWorkflowId(test.tenantId, test.id),
        taskQueue: queues.workflows,
        args: [{ tenantId: test.tenantId, testSendId: test.id }],
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        staticSummary: summary(
          `Test of "${test.name}" to ${test.recipients} ${test.recipients === 1 ? 'address' : 'addresses'}`,
        ),
        typedSearchAttributes: [
          { key: searchAttributes.tenant, value: test.tenantId },
          { key: searchAttributes.kind, value: 'testSend' },
          { key: searchAttributes.campaign, value: test.campaignId },
          { key: searchAttributes.channel, value: test.channel },
        ],
      });
    } catch (error) {
      // The same test asked for twice: one workflow sends it.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        throw error;
      }
    }
  }

  return {
    async sendTest(test) {
      await client.withDeadline(Date.now() + startMs, () => start(test));
      const handle = client.workflow.getHandle<typeof testSend>(
        testSendWorkflowId(test.tenantId, test.id),
      );
      // However the waiting ends, the test is on its way, and its record says what became of it.
      await client.withDeadline(Date.now() + waitMs, () => handle.result()).catch(() => undefined);
    },
  };
}
