import { platformPool } from '../../domain/llm/types';
import type { Knex } from '../../lib/db';
import { acrossTenantsWithin, forOtherPurpose } from '../base';
import { applyHealth, readHealth } from './health';

/**
 * Lets a key serve again that a budget of ours had benched until its period ends, because that budget
 * is another one now, in the transaction of its tenant or of a platform admin. Where it is still spent
 * the next call benches the key again. What a vendor's budget benched stays as it is.
 */
export async function liftSpentKey(
  trx: Knex.Transaction,
  { ownerId, keyId, actorId }: { ownerId: string | null; keyId: string; actorId: string },
): Promise<void> {
  const lift = async (inner: Knex.Transaction) => {
    const poolId = ownerId ?? platformPool;
    const health = (await readHealth(inner, poolId)).find(
      ({ subject }) => subject.scope === 'key' && subject.keyId === keyId,
    );
    // Only a vendor answers with a status.
    if (health?.reason === 'budgetSpent' && (health.evidence.status ?? null) === null) {
      const actor = { kind: 'user' as const, id: actorId };
      const { subject } = health;
      await applyHealth(inner, [{ type: 'recovered', poolId, subject, at: Date.now(), actor }]);
    }
  };
  if (ownerId === null) {
    await forOtherPurpose(trx, { own: 'platformAdmin', purpose: 'llmRing' }, lift);
  } else {
    await acrossTenantsWithin(trx, { tenantId: ownerId, purpose: 'llmRing' }, lift);
  }
}
