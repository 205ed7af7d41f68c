import type { QueryBuilder } from 'objection';
import type { AuditAction } from '../../domain/identity/auditActions';
import type { Knex } from '../../lib/db';
import { fetchPage, type Page, type SortKey } from '../pages';
import { AuditEntry } from './AuditEntry';

export const auditSorts = {
  at: { by: 'at', type: 'timestamptz' },
} as const satisfies Record<string, SortKey>;

export interface AuditFilters {
  action?: AuditAction | undefined;
  actorId?: string | undefined;
  targetKind?: string | undefined;
  targetId?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** What the log tells of one tenant, from `from` until before `to`. */
export function auditOfTenant(
  trx: Knex.Transaction,
  tenantId: string,
  filters: AuditFilters,
): QueryBuilder<AuditEntry, AuditEntry[]> {
  return narrowed(AuditEntry.query(trx).where('tenant_id', tenantId), filters);
}

/** What it tells of all tenants and of the platform; `trx` is one that may look across tenants. */
export function auditOfAll(
  trx: Knex.Transaction,
  { tenantId, ...filters }: AuditFilters & { tenantId?: string | undefined },
): QueryBuilder<AuditEntry, AuditEntry[]> {
  return tenantId === undefined
    ? narrowed(AuditEntry.query(trx), filters)
    : auditOfTenant(trx, tenantId, filters);
}

const rowsAPage = 1_000;

/**
 * The rows of a query from the oldest on, a page and a transaction at a time: memory stays flat
 * however many there are, and a slow reader holds no transaction open.
 */
export async function* readAudit(
  inTransaction: <T>(work: (trx: Knex.Transaction) => Promise<T>) => Promise<T>,
  query: (trx: Knex.Transaction) => QueryBuilder<AuditEntry, AuditEntry[]>,
): AsyncGenerator<AuditEntry> {
  let from: { skip: number } | { key: string; id: string } | null = { skip: 0 };
  while (from !== null) {
    const place: { skip: number } | { key: string; id: string } = from;
    const page: Page<AuditEntry> = await inTransaction((trx) =>
      fetchPage(query(trx), {
        sort: auditSorts.at,
        isDescending: false,
        limit: rowsAPage,
        from: place,
      }),
    );
    yield* page.rows;
    from = page.next;
  }
}

function narrowed(
  query: QueryBuilder<AuditEntry, AuditEntry[]>,
  { action, actorId, targetKind, targetId, from, to }: AuditFilters,
): QueryBuilder<AuditEntry, AuditEntry[]> {
  const equal = { action, actor_id: actorId, target_kind: targetKind, target_id: targetId };
  for (const [column, value] of Object.entries(equal)) {
    if (value !== undefined) {
      query.where(column, value);
    }
  }
  if (from !== undefined) {
    query.where('at', '>=', from);
  }
  if (to !== undefined) {
    query.where('at', '<', to);
  }
  return query;
}
