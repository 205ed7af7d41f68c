import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { inClearText } from '../support/histories';

/**
 * Writes the histories of a campaign's workflows for the replay test, when RECORD_HISTORIES is set:
 * `RECORD_HISTORIES=1 npx jest tests/workflows`. One file a kind of workflow and story. What is kept is
 * decrypted: the keys go with the test's database, and people read these files.
 */
export async function recordHistories(
  client: Client,
  story: string,
  campaignId: string,
): Promise<void> {
  if (process.env.RECORD_HISTORIES === undefined) {
    return;
  }
  const kept = new Set<string>();
  const query = `CarillonCampaign = '${campaignId}'`;
  for await (const execution of client.workflow.list({ query })) {
    if (kept.has(execution.type)) {
      continue;
    }
    kept.add(execution.type);
    const history = await client.workflow
      .getHandle(execution.workflowId, execution.runId)
      .fetchHistory();
    writeFileSync(
      path.join(__dirname, 'histories', `${story}-${execution.type}.json`),
      `${JSON.stringify({ workflowId: execution.workflowId, history: JSON.parse(historyToJSON(await inClearText(client, history))) })}\n`,
    );
  }
}
