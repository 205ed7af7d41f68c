import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Channel } from '../domain/campaigns/types';
import type { Temporal } from '../lib/temporal';
import { contentWorkflowId, type contentGeneration } from '../workflows/content/contentGeneration';
import { queues } from '../workflows/queues';
import { searchAttributes } from '../workflows/searchAttributes';
import { summary } from '../workflows/summary';

/** A generation that is written down. */
export interface StartableGeneration {
  id: string;
  tenantId: string;
  campaignId: string | null;
  channel: Channel;
  count: number;
}

/** The workflows of generated content; the record is always written before. */
export interface ContentGenerations {
  /**
   * Resolves when it has ended or the caller has waited long enough: its record says which. Rejects
   * when the workflow cannot be started now; it may have been started all the same.
   */
  generate(generation: StartableGeneration): Promise<void>;
}

/** The workflows behind a client; a deadline is the longest a caller waits. */
export function createContentGenerations(
  { client }: Pick<Temporal, 'client'>,
  deadlines: { startMs?: number; waitMs?: number } = {},
): ContentGenerations {
  const { startMs = 5_000, waitMs = 20_000 } = deadlines;

  async function start(generation: StartableGeneration): Promise<void> {
    const { id, tenantId, campaignId, channel, count } = generation;
    try {
      await client.workflow.start<typeof contentGeneration>('contentGeneration', {
        workflowId: contentWorkflowId(tenantId, id),
        taskQueue: queues.workflows,
        args: [{ tenantId, generationId: id }],
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        staticSummary: summary(
          `${count} ${count === 1 ? 'variant' : 'variants'} of ${names[channel]}, written by a model`,
        ),
        typedSearchAttributes: [
          { key: searchAttributes.tenant, value: tenantId },
          { key: searchAttributes.kind, value: 'content' },
          ...(campaignId === null ? [] : [{ key: searchAttributes.campaign, value: campaignId }]),
          { key: searchAttributes.channel, value: channel },
        ],
      });
    } catch (error) {
      // The same asked for twice: one workflow does it.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        throw error;
      }
    }
  }

  return {
    async generate(generation) {
      await client.withDeadline(Date.now() + startMs, () => start(generation));
      const { tenantId, id } = generation;
      const handle = client.workflow.getHandle<typeof contentGeneration>(
        contentWorkflowId(tenantId, id),
      );
      // However the waiting ends, it is on its way, and its record says what became of it.
      await client.withDeadline(Date.now() + waitMs, () => handle.result()).catch(() => undefined);
    },
  };
}

const names = { email: 'a mail', sms: 'a text message', whatsapp: 'a WhatsApp message' } as const;
