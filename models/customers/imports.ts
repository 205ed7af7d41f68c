import type { QueryBuilder } from 'objection';
import type { Rejection } from '../../domain/customers/types';
import type { Knex } from '../../lib/db';
import type { SortKey } from '../pages';
import { Import, ImportRejection } from './Import';

export const rejectionSorts = {
  row: { by: 'row_number', type: 'bigint' },
} as const satisfies Record<string, SortKey>;

interface Key {
  tenantId: string;
  id: string;
}

/**
 * Begins an import, or begins it again when the process of an earlier attempt died: counts and
 * rejections start from nothing. One that was completed stays as it is.
 */
export async function startImport(
  trx: Knex.Transaction,
  start: Key & { fileName: string | null; createdBy: string },
): Promise<Import> {
  await Import.query(trx)
    .insert({ ...start, state: 'running' })
    .onConflict(['tenant_id', 'id'])
    .ignore();
  const stored = await Import.query(trx)
    .findById([start.tenantId, start.id])
    .forUpdate()
    .throwIfNotFound();
  if (stored.state === 'completed') {
    return stored;
  }
  await ImportRejection.query(trx)
    .delete()
    .where({ tenant_id: start.tenantId, import_id: start.id });
  return Import.query(trx)
    .patch({
      state: 'running',
      rowsRead: 0,
      rowsCreated: 0,
      rowsUpdated: 0,
      rowsRejected: 0,
      failureCode: null,
      failure: null,
      finishedAt: null,
      updatedAt: trx.fn.now(),
    })
    .where({ tenant_id: start.tenantId, id: start.id })
    .returning('*')
    .first()
    .throwIfNotFound();
}

/** How many rejected rows of one import are listed; the others are only counted. */
export const maxRejectionsKept = 10_000;

/** Adds what one batch did, in the batch's own transaction: counts and rows never disagree. */
export async function recordBatch(
  trx: Knex.Transaction,
  key: Key,
  batch: { created: number; updated: number; rejections: readonly Rejection[] },
): Promise<void> {
  const rejected = batch.rejections.length;
  const updated = await trx.raw(
    `update imports set
       rows_read = rows_read + :read, rows_created = rows_created + :created,
       rows_updated = rows_updated + :updated, rows_rejected = rows_rejected + :rejected,
       updated_at = now()
     where tenant_id = :tenantId and id = :id
     returning rows_rejected as "rejectedSoFar"`,
    {
      ...key,
      created: batch.created,
      updated: batch.updated,
      rejected,
      read: batch.created + batch.updated + rejected,
    },
  );
  const { rejectedSoFar }: { rejectedSoFar: number } = updated.rows[0];
  const room = maxRejectionsKept - (rejectedSoFar - rejected);
  const kept = batch.rejections.slice(0, Math.max(0, room));
  if (kept.length > 0) {
    await trx.raw(
      `insert into import_rejections (tenant_id, import_id, row_number, field, code, reason)
       select :tenantId, :id, r."row", r.field, r.code, r.reason
         from jsonb_to_recordset(cast(:rejections as jsonb))
           as r("row" int, field text, code text, reason text)`,
      { ...key, rejections: JSON.stringify(kept) },
    );
  }
}

/** Ends an import; with a failure, the rows of earlier batches stay imported. */
export function finishImport(
  trx: Knex.Transaction,
  key: Key,
  failure: { code: string; message: string } | null,
): Promise<Import> {
  return runQuery(
    Import.query(trx)
      .patch({
        state: failure === null ? 'completed' : 'failed',
        failureCode: failure?.code ?? null,
        failure: failure?.message ?? null,
        finishedAt: trx.fn.now(),
        updatedAt: trx.fn.now(),
      })
      .where({ tenant_id: key.tenantId, id: key.id })
      .returning('*')
      .first()
      .throwIfNotFound(),
  );
}

/** Fails imports whose process is gone; `trx` is one that may look across tenants. */
export async function failAbandonedImports(
  trx: Knex.Transaction,
  abandonedAfterMs: number,
): Promise<number> {
  return Import.query(trx)
    .patch({
      state: 'failed',
      failureCode: 'interrupted',
      failure: 'The process that read the file ended before it was through; send the file again.',
      finishedAt: trx.fn.now(),
    })
    .where('state', 'running')
    .whereRaw('updated_at < now() - make_interval(secs => ?)', [abandonedAfterMs / 1000]);
}

export async function findImport(trx: Knex.Transaction, key: Key): Promise<Import | null> {
  return (await Import.query(trx).findById([key.tenantId, key.id])) ?? null;
}

export function rejectionsOf(
  trx: Knex.Transaction,
  key: Key,
): QueryBuilder<ImportRejection, ImportRejection[]> {
  return ImportRejection.query(trx).where({ tenant_id: key.tenantId, import_id: key.id });
}

// Objection's builders are thenable but no promises.
async function runQuery<T>(query: PromiseLike<T>): Promise<T> {
  return query;
}
