import { raw, type QueryBuilder } from 'objection';
import type { BaseModel } from './base';

/**
 * What a list may be sorted by: an SQL expression that is never null, and its type. Ties are broken
 * by the id, so that the order is total.
 */
export interface SortKey {
  readonly by: string;
  readonly type: 'timestamptz' | 'text' | 'bigint' | 'uuid';
}

export interface PageRequest {
  readonly sort: SortKey;
  readonly isDescending: boolean;
  readonly limit: number;
  /** Rows to pass over, or the place to go on after. */
  readonly from: { skip: number } | { key: string; id: string };
  /** The id's column; `id` unless the table calls it otherwise. */
  readonly idColumn?: string;
  readonly idType?: 'uuid' | 'bigint' | 'text';
  /** Whether the query names its columns itself; all are read where it does not. */
  readonly hasColumns?: boolean;
}

export interface Page<M> {
  readonly rows: M[];
  /** Where the next page goes on, or null when there is none. */
  readonly next: { key: string; id: string } | null;
}

/** One page of a query in a stable order. The query must not order or limit by itself. */
export async function fetchPage<M extends BaseModel>(
  query: QueryBuilder<M, M[]>,
  {
    sort,
    isDescending,
    limit,
    from,
    idColumn = 'id',
    idType = 'uuid',
    hasColumns = false,
  }: PageRequest,
): Promise<Page<M>> {
  const direction = isDescending ? 'desc' : 'asc';
  // The key travels as Postgres writes it: a Date of ours would lose the microseconds.
  const paged = query
    .select(
      ...(hasColumns ? [] : [`${query.modelClass().tableName}.*`]),
      raw(`(${sort.by})::text as "sort_key"`),
      raw('??::text as "sort_id"', idColumn),
    )
    .orderByRaw(`${sort.by} ${direction}, ?? ${direction}`, [idColumn])
    .limit(limit + 1);
  if ('skip' in from) {
    paged.offset(from.skip);
  } else {
    paged.whereRaw(`(${sort.by}, ??) ${isDescending ? '<' : '>'} (?::${sort.type}, ?::${idType})`, [
      idColumn,
      from.key,
      from.id,
    ]);
  }
  const found = await paged;
  const rows = found.slice(0, limit);
  return { rows, next: found.length > limit ? placeOf(rows.at(-1)) : null };
}

function placeOf(row: object | undefined): { key: string; id: string } | null {
  const key: unknown = row === undefined ? undefined : Reflect.get(row, 'sortKey');
  const id: unknown = row === undefined ? undefined : Reflect.get(row, 'sortId');
  return typeof key === 'string' && typeof id === 'string' ? { key, id } : null;
}
