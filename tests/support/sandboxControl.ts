import type { Call, FaultPlan, Sandbox } from '../../sandbox';

export interface SandboxStats {
  calls: number;
  accepted: number;
  delivered: number;
  distinctRecipients: number;
  duplicates: { to: string; count: number }[];
}

export async function sandboxStats(sandbox: Sandbox): Promise<SandboxStats> {
  const stats: SandboxStats = JSON.parse(await (await fetch(`${sandbox.url}/api/stats`)).text());
  return stats;
}

/** The calls received, oldest first, of one run or of all. */
export async function sandboxCalls(sandbox: Sandbox, runId?: string): Promise<Call[]> {
  const answer = await fetch(`${sandbox.url}/api/calls?limit=1000`);
  const { items }: { items: Call[] } = JSON.parse(await answer.text());
  return items.filter((call) => runId === undefined || call.customArgs?.['carillon_r'] === runId);
}

export async function setFaults(sandbox: Sandbox, plan: Partial<FaultPlan>): Promise<void> {
  const answer = await fetch(`${sandbox.url}/api/faults`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(plan),
  });
  if (!answer.ok) {
    throw new Error(`faults refused: ${await answer.text()}`);
  }
}

export async function clearFaults(sandbox: Sandbox): Promise<void> {
  await fetch(`${sandbox.url}/api/faults`, { method: 'DELETE' });
}
