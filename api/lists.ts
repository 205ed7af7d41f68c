import { z } from 'zod';
import { instantBetween } from '../domain/customers/schema';
import { AppError } from '../domain/errors';
import { isDataException } from '../lib/databaseErrors';
import { decodeCursor, encodeCursor } from '../lib/cursors';
import { fetchPage, type Page, type PageRequest, type SortKey } from '../models/pages';
import type { BaseModel } from '../models/base';
import type { QueryBuilder } from 'objection';
import type { Meta } from './route';

/** What every list takes besides its own filters. */
export interface ListQuery {
  page?: number | undefined;
  perPage: number;
  cursor?: string | undefined;
  sort: string;
  fields?: string[] | undefined;
}

const maxPerPage = 200;

/**
 * The query schema of a list: `page` and `perPage`, `cursor`, `sort` (a name, or "-name" for
 * descending), `fields` of the item, and the list's own filters by name.
 */
export function listQuery<F extends z.ZodRawShape>(options: {
  item: z.ZodObject;
  sorts: Readonly<Record<string, SortKey>>;
  defaultSort: string;
  filters: F;
}) {
  const sorts = Object.keys(options.sorts).flatMap((name) => [name, `-${name}`]);
  return z.strictObject({
    page: wholeNumber(1, 1_000_000).optional(),
    perPage: wholeNumber(1, maxPerPage).default(50),
    cursor: z.string().min(1).max(2_000).optional(),
    sort: z.enum(sorts).default(options.defaultSort),
    fields: fieldsOf(options.item).optional(),
    ...options.filters,
  });
}

/** `fields=a,b`: which of the item's fields are answered. The edge does the picking. */
export function fieldsOf(item: z.ZodObject) {
  const known = new Set(Object.keys(item.shape));
  return z
    .string()
    .max(2_000)
    .meta({
      // What a caller writes with commas is an array in a document.
      type: 'array',
      items: { type: 'string', enum: [...known] },
      minItems: 1,
      maxLength: undefined,
    })
    .transform((text, context) => {
      const names = text.split(',').map((name) => name.trim());
      for (const name of names.filter((each) => !known.has(each))) {
        context.addIssue({
          code: 'custom',
          message: `There is no field ${JSON.stringify(name)}.`,
          params: { code: 'unknownField' },
        });
      }
      return names;
    });
}

/** A whole number written in digits, as it comes in a query. */
export function wholeNumber(least: number, most: number) {
  return z
    .string()
    .regex(/^\d{1,15}$/, 'Is not a whole number.')
    .meta({ type: 'integer', pattern: undefined, minimum: least, maximum: most })
    .transform(Number)
    .pipe(z.number().min(least).max(most));
}

/** An instant in a query (RFC 3339), of the years 1 to 9999 in UTC: what Postgres compares with. */
export const instant = instantBetween(
  () => [new Date('0001-01-01T00:00:00Z'), new Date('9999-12-31T23:59:59.999Z')],
  'Must be within the years 1 to 9999, in UTC.',
);

/**
 * One page of the query as a list answers it. By `page` it also counts all rows; by `cursor` it
 * does not, and goes on in the same order whatever was added meanwhile.
 */
export async function listPage<M extends BaseModel, T>(
  query: QueryBuilder<M, M[]>,
  options: {
    list: ListQuery;
    sorts: Readonly<Record<string, SortKey>>;
    present: (row: M) => T;
    idColumn?: string;
    idType?: 'uuid' | 'bigint' | 'text';
    hasColumns?: boolean;
  },
): Promise<{ data: T[]; meta: Meta }> {
  const { list, sorts, present } = options;
  const place = placeOf(list);
  const total = 'skip' in place ? await query.clone().resultSize() : undefined;
  const page = await pageOf(query, {
    sort: sortKey(list.sort, sorts),
    isDescending: list.sort.startsWith('-'),
    limit: list.perPage,
    from: place,
    ...(options.idColumn === undefined ? {} : { idColumn: options.idColumn }),
    ...(options.idType === undefined ? {} : { idType: options.idType }),
    ...(options.hasColumns === undefined ? {} : { hasColumns: options.hasColumns }),
  });
  const nextCursor = page.next === null ? null : encodeCursor({ order: list.sort, ...page.next });
  return {
    data: page.rows.map(present),
    meta:
      total === undefined
        ? { perPage: list.perPage, nextCursor }
        : {
            page: list.page ?? 1,
            perPage: list.perPage,
            total,
            pages: Math.ceil(total / list.perPage),
            nextCursor,
          },
  };
}

// A cursor is not signed: one that was made up can only name a place in the caller's own list, but
// its text may be none that Postgres can compare with.
async function pageOf<M extends BaseModel>(
  query: QueryBuilder<M, M[]>,
  request: PageRequest,
): Promise<Page<M>> {
  try {
    return await fetchPage(query, request);
  } catch (error) {
    throw 'key' in request.from && isDataException(error) ? badCursor() : error;
  }
}

function placeOf(list: ListQuery): { skip: number } | { key: string; id: string } {
  if (list.cursor === undefined) {
    return { skip: ((list.page ?? 1) - 1) * list.perPage };
  }
  const cursor = decodeCursor(list.cursor);
  if (list.page !== undefined || cursor === null || cursor.order !== list.sort) {
    throw badCursor();
  }
  return { key: cursor.key, id: cursor.id };
}

/** The cursor is none of ours, or of another order of this list. */
export function badCursor(): AppError {
  return new AppError(
    'malformed',
    'malformedCursor',
    'Take `cursor` from the `meta.nextCursor` of the page before, with the same `sort` and no `page`.',
  );
}

function sortKey(sort: string, sorts: Readonly<Record<string, SortKey>>): SortKey {
  const key = sorts[sort.replace(/^-/, '')];
  if (key === undefined) {
    throw new Error(`There is no sort ${sort}`);
  }
  return key;
}
