import type { Client } from '@temporalio/client';

/** How many workflows a campaign's parent, children and continued runs are, and their events in all. */
export async function countHistory(
  client: Client,
  campaignId: string,
): Promise<{ workflows: number; events: number }> {
  const found = { workflows: 0, events: 0 };
  const query = `CarillonCampaign = '${campaignId}' and ExecutionStatus != 'Running'`;
  for await (const execution of client.workflow.list({ query })) {
    found.workflows += 1;
    found.events += execution.historyLength;
  }
  return found;
}
