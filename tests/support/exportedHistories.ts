import type { Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import {
  decode,
  visit,
  walkDescribeWorkflowExecutionResponse,
  walkGetWorkflowExecutionHistoryResponse,
} from '@temporalio/common/lib/internal-non-workflow';
import { temporal } from '@temporalio/proto';

const { DescribeScheduleResponse, DescribeWorkflowExecutionResponse } =
  temporal.api.workflowservice.v1;
const { GetWorkflowExecutionHistoryResponse, ListWorkflowExecutionsResponse } =
  temporal.api.workflowservice.v1;

/** One workflow as the server has it. */
export interface ExportedWorkflow {
  workflowId: string;
  type: string;
  /** What the server answered, in the bytes it sent and as JSON. */
  raw: string;
  /** The same with every payload decrypted. */
  clear: string;
  /** Its payloads as they are kept. */
  payloads: Payload[];
}

/**
 * Everything the server tells of every workflow of a namespace: lists with search attributes and
 * memos, descriptions with pending activities, whole histories. Schedules come as workflows too.
 */
export async function exportWorkflows(
  client: Client,
  namespace: string,
): Promise<{ workflows: ExportedWorkflow[]; others: string }> {
  const service = client.workflowService;
  const list = await service.listWorkflowExecutions({ namespace, pageSize: 1_000 });
  const schedules = await service.listSchedules({ namespace, maximumPageSize: 100 });
  const described = await Promise.all(
    schedules.schedules.map(({ scheduleId }) =>
      service.describeSchedule({ namespace, scheduleId: scheduleId ?? '' }),
    ),
  );
  const workflows = await Promise.all(
    list.executions.map(async ({ execution, type }) => ({
      workflowId: execution?.workflowId ?? '',
      type: type?.name ?? '',
      ...(await exportOne(client, namespace, execution ?? {})),
    })),
  );
  const others = [
    textOf(ListWorkflowExecutionsResponse.encode(list).finish(), list),
    ...described.map((one) => textOf(DescribeScheduleResponse.encode(one).finish(), one)),
  ].join('\n');
  return { workflows, others };
}

async function exportOne(
  client: Client,
  namespace: string,
  execution: temporal.api.common.v1.IWorkflowExecution,
): Promise<Omit<ExportedWorkflow, 'workflowId' | 'type'>> {
  const service = client.workflowService;
  const description = await service.describeWorkflowExecution({ namespace, execution });
  const pages: temporal.api.workflowservice.v1.GetWorkflowExecutionHistoryResponse[] = [];
  let nextPageToken = new Uint8Array();
  do {
    const page = await service.getWorkflowExecutionHistory({ namespace, execution, nextPageToken });
    pages.push(page);
    nextPageToken = Uint8Array.from(page.nextPageToken);
  } while (nextPageToken.length > 0);

  const answers = () =>
    [
      textOf(DescribeWorkflowExecutionResponse.encode(description).finish(), description),
      ...pages.map((page) =>
        textOf(GetWorkflowExecutionHistoryResponse.encode(page).finish(), page),
      ),
    ].join('\n');
  const raw = answers();
  const payloads: Payload[] = [];
  const codecs = client.options.loadedDataConverter.payloadCodecs;
  // From here on the answers are decrypted in their places.
  const options = {
    transformPayloads: (found: Payload[]) => {
      payloads.push(...found);
      return decode(codecs, found);
    },
    transformPayload: async (found: Payload) => {
      payloads.push(found);
      return (await decode(codecs, [found]))[0] ?? found;
    },
    skipSearchAttributes: true,
  };
  await visit(description, walkDescribeWorkflowExecutionResponse, options);
  for (const page of pages) {
    await visit(page, walkGetWorkflowExecutionHistoryResponse, options);
  }
  return { raw, clear: answers(), payloads };
}

// Bytes as they travelled, in which every text stands as UTF-8, and the JSON that people read.
function textOf(bytes: Uint8Array, message: { toJSON(): unknown }): string {
  return `${Buffer.from(bytes).toString('utf8')}\n${JSON.stringify(message.toJSON())}`;
}
