import type { Client } from '@temporalio/client';
import {
  decode,
  visit,
  walkGetWorkflowExecutionHistoryResponse,
} from '@temporalio/common/lib/internal-non-workflow';
import { temporal } from '@temporalio/proto';

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

/** The same history with every payload as it was before the client's codec encrypted it. */
export async function inClearText(
  client: Client,
  history: temporal.api.history.v1.IHistory,
): Promise<temporal.api.history.v1.History> {
  const { History } = temporal.api.history.v1;
  const copy = History.decode(History.encode(history).finish());
  const codecs = client.options.loadedDataConverter.payloadCodecs;
  await visit({ history: copy }, walkGetWorkflowExecutionHistoryResponse, {
    transformPayload: async (payload) => (await decode(codecs, [payload]))[0] ?? payload,
    transformPayloads: (payloads) => decode(codecs, payloads),
    skipSearchAttributes: true,
  });
  return copy;
}
