import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { keyringWorkflowId } from '../../workflows/llm/messages';
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
    await write(client, `${story}-${execution.type}`, execution);
  }
}

/** The same of the keyring of an account, as it is now: it goes on. */
export async function recordKeyring(
  client: Client,
  story: string,
  accountId: string,
): Promise<void> {
  if (process.env.RECORD_HISTORIES !== undefined) {
    await write(client, `${story}-keyring`, { workflowId: keyringWorkflowId(accountId) });
  }
}

async function write(
  client: Client,
  name: string,
  { workflowId, runId }: { workflowId: string; runId?: string },
): Promise<void> {
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const clear = JSON.parse(historyToJSON(await inClearText(client, history)));
  writeFileSync(
    path.join(__dirname, 'histories', `${name}.json`),
    `${JSON.stringify({ workflowId, history: clear })}\n`,
  );
}
