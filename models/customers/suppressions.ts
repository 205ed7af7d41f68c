import type { QueryBuilder } from 'objection';
import type { Knex } from '../../lib/db';
import type { SortKey } from '../pages';
import { Suppression } from './Suppression';

export const suppressionSorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
  address: { by: 'address', type: 'text' },
} as const satisfies Record<string, SortKey>;

export type NewSuppression = Pick<
  Suppression,
  'id' | 'tenantId' | 'channel' | 'address' | 'reason'
>;

/** Adds an address; one that is there already stays as it is, with the reason it came in for. */
export async function addSuppression(
  trx: Knex.Transaction,
  suppression: NewSuppression,
): Promise<{ suppression: Suppression; isNew: boolean }> {
  const row = { ...suppression, address: suppression.address.toLowerCase() };
  await Suppression.query(trx).insert(row).onConflict(['tenant_id', 'channel', 'address']).ignore();
  const stored = await Suppression.query(trx)
    .findById([row.tenantId, row.channel, row.address])
    .throwIfNotFound();
  return { suppression: stored, isNew: stored.id === row.id };
}

export function suppressionsWhere(
  trx: Knex.Transaction,
  tenantId: string,
  filters: {
    channel?: string | undefined;
    reason?: string | undefined;
    address?: string | undefined;
  },
): QueryBuilder<Suppression, Suppression[]> {
  const query = Suppression.query(trx).where('tenant_id', tenantId);
  if (filters.channel !== undefined) {
    query.where('channel', filters.channel);
  }
  if (filters.reason !== undefined) {
    query.where('reason', filters.reason);
  }
  if (filters.address !== undefined) {
    query.where('address', filters.address.toLowerCase());
  }
  return query;
}

/** Removes it and answers what it was; null when there is none. */
export async function removeSuppression(
  trx: Knex.Transaction,
  key: { tenantId: string; id: string },
): Promise<Suppression | null> {
  const removed = await Suppression.query(trx)
    .delete()
    .where({ tenant_id: key.tenantId, id: key.id })
    .returning('*');
  return removed[0] ?? null;
}
