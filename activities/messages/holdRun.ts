import type { Knex } from '../../lib/db';
import { setGate } from '../../models/campaigns/runs';

/** Pauses a run so that a person looks at it: what the provider refused, it would refuse again. */
export async function holdRun(
  trx: Knex.Transaction,
  run: { tenantId: string; runId: string },
  reason: string,
): Promise<void> {
  await setGate(trx, {
    tenantId: run.tenantId,
    runId: run.runId,
    gate: 'paused',
    reason,
    actor: { kind: 'system', id: null },
  });
}

/** What people read of a run that the provider's refusal holds. */
export function refusedMessage(reason: string): string {
  return `The provider refused the message: ${reason}`;
}
