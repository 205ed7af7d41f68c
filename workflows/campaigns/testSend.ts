import { setCurrentDetails } from '@temporalio/workflow';
import type { TestSendRef, TestSendResult } from '../../activities/campaigns/sendTest';
import { testCalls } from '../proxies';

/** One test of a campaign, asked for by its author. */
export function testSendWorkflowId(tenantId: string, testSendId: string): string {
  return `test-send/${tenantId}/${testSendId}`;
}

/** Sends a campaign's message to the few people its author named, never twice. */
export async function testSend(test: TestSendRef): Promise<TestSendResult> {
  const result = await testCalls.sendTest(test);
  setCurrentDetails(`Ended: ${result.state}.`);
  return result;
}
