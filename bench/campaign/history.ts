import { setTimeout as wait } from 'node:timers/promises';
import { searchAttributes } from '../../workflows/searchAttributes';
import type { BenchGround } from './ground';

const settleTimeoutMs = 30_000;
const pollMs = 200;

/**
 * Sums the history of everything that ran for a campaign: itself, its run, the waves and what they
 * continued as. The server lists what has ended a moment later, so this waits until
 * the list holds as many as there must be and nothing in it runs.
 */
export async function countHistory(
  ground: BenchGround,
  campaignId: string,
  atLeast: number,
): Promise<number> {
  const query = `${searchAttributes.campaign.name} = '${campaignId}'`;
  const deadline = Date.now() + settleTimeoutMs;
  for (;;) {
    let executions = 0;
    let running = 0;
    let events = 0;
    for await (const workflow of ground.temporal.client.workflow.list({ query })) {
      executions += 1;
      running += workflow.status.name === 'RUNNING' ? 1 : 0;
      events += workflow.historyLength ?? 0;
    }
    if (executions >= atLeast && running === 0) {
      return events;
    }
    if (Date.now() > deadline) {
      throw new Error(
        `Temporal lists ${executions} workflows of the campaign, ${running} of them running; ` +
          `${atLeast} ended ones were expected`,
      );
    }
    await wait(pollMs);
  }
}
