import { z } from 'zod';

const Stats = z.object({
  delivered: z.number(),
  distinctRecipients: z.number(),
  events: z.object({ pending: z.number() }).nullable(),
});

/** How much the sandbox has taken, and how many groups of events it still has to post. */
export async function sandboxFigures(sandboxUrl: string): Promise<z.output<typeof Stats>> {
  return Stats.parse(await (await fetch(`${sandboxUrl}/api/stats`)).json());
}

/** Replaces what the sandbox does wrong. */
export async function setSandboxFaults(
  sandboxUrl: string,
  plan: Record<string, unknown>,
): Promise<void> {
  const answer = await fetch(`${sandboxUrl}/api/faults`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(plan),
  });
  if (!answer.ok) {
    throw new Error(`The sandbox refused the faults: ${await answer.text()}`);
  }
}
