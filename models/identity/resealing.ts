import type { Knex } from '../../lib/db';
import { sealedColumnNames, sealedColumns, type SealedColumnName } from './sealedPlaces';

/** One sealed value, and where it lies. */
export interface SealedRow {
  key: string[];
  tenantId: string | null;
  sealed: string;
}

/** One envelope in place of another one, in the row of this key. */
export interface ResealedRow {
  key: readonly string[];
  from: string;
  to: string;
}

/** How many values of a column are sealed with a key. */
export interface SealedCount {
  name: SealedColumnName;
  keyId: string;
  values: number;
}

/** The rows after this key whose value is sealed with another key, in the order of their keys. */
export async function listSealedOtherwise(
  trx: Knex.Transaction,
  name: SealedColumnName,
  page: { keyId: string; after: readonly string[] | null; limit: number },
): Promise<SealedRow[]> {
  const { table, column, tenant, keyColumns } = partsOf(name);
  const key = keyColumns.map(([each]) => each).join(', ');
  const isAfter = `(${key}) > (${keyColumns.map(([, type]) => `cast(? as ${type})`).join(', ')})`;
  const found = await trx.raw(
    `select array[${keyColumns.map(([each]) => `cast(${each} as text)`).join(', ')}] as key,
            ${tenant ?? 'null'} as "tenantId", ${column} as sealed
       from ${table}
      where ${column} is not null and ${keyIdOf(column)} <> ?
        ${page.after === null ? '' : `and ${isAfter}`}
      order by ${key} limit ?`,
    [page.keyId, ...(page.after ?? []), page.limit],
  );
  return found.rows;
}

/**
 * Writes new envelopes where the old ones still are, and answers how many. A value that was changed
 * meanwhile stays as it was changed, and a row that somebody holds is left out and not waited for, so
 * that this can be in a ring of waiting transactions with nobody. Nothing else of a row is touched:
 * the same secret is no other version of it.
 */
export async function replaceSealed(
  trx: Knex.Transaction,
  name: SealedColumnName,
  rows: readonly ResealedRow[],
): Promise<number> {
  const { table, column, keyColumns } = partsOf(name);
  const keys = keyColumns.map(([, type], index) => `cast(:k${index} as ${type}[])`);
  const given = keyColumns.map((_, index) => `k${index}`);
  const isOf = (other: string) =>
    keyColumns.map(([each], index) => `t.${each} = ${other}.k${index}`).join(' and ');
  const updated = await trx.raw(
    `with due as materialized (
       select ${given.map((each) => `n.${each}`).join(', ')}, n.after
         from unnest(${keys.join(', ')}, cast(:from as text[]), cast(:to as text[]))
           as n (${given.join(', ')}, before, after)
         join ${table} t on ${isOf('n')}
        where t.${column} = n.before
          for no key update of t skip locked)
     update ${table} t set ${column} = due.after from due where ${isOf('due')}`,
    {
      ...Object.fromEntries(
        keyColumns.map((_, index) => [`k${index}`, rows.map(({ key }) => key[index])]),
      ),
      from: rows.map(({ from }) => from),
      to: rows.map(({ to }) => to),
    },
  );
  return updated.rowCount;
}

/** How many values each key has sealed, column by column. */
export async function countSealed(trx: Knex.Transaction): Promise<SealedCount[]> {
  const counted = sealedColumnNames.map((name) => {
    const { table, column } = partsOf(name);
    return `select '${name}' as name, ${keyIdOf(column)} as "keyId", count(*) as "values"
              from ${table} where ${column} is not null group by 2`;
  });
  const found = await trx.raw(`${counted.join(' union all ')} order by 1, 2`);
  return found.rows;
}

/** Notes a key that seals from now on; one that is known keeps its place, unless it is `chosen` anew. */
export async function introduceKey(
  trx: Knex.Transaction,
  keyId: string,
  options: { chosen: boolean } = { chosen: false },
): Promise<void> {
  await trx.raw(
    `insert into sealing_keys (id) values (?) on conflict (id) do
       ${options.chosen ? 'update set introduced_at = clock_timestamp()' : 'nothing'}`,
    [keyId],
  );
}

/** The key that was introduced last: what others sealed is sealed again with it. */
export async function newestKey(trx: Knex.Transaction): Promise<string | null> {
  const found = await trx.raw(
    'select id from sealing_keys order by introduced_at desc, id desc limit 1',
  );
  return found.rows[0]?.id ?? null;
}

function partsOf(name: SealedColumnName) {
  const { table, column, tenant, key } = sealedColumns[name];
  return { table, column, tenant, keyColumns: Object.entries(key) };
}

function keyIdOf(column: string): string {
  return `split_part(${column}, '.', 2)`;
}
