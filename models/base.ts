import { Model } from 'objection';
import type { Knex } from 'knex';
import {
  besideDatabase,
  inOneTrip,
  onConnection,
  prepareOnce,
  type Rows,
  type TripOptions,
  type TripStatement,
} from '../lib/db';

/** Every model: snake_case columns are camelCase properties; columns are only ever declared. */
export class BaseModel extends Model {
  static override get columnNameMappers() {
    return snakeCaseColumns;
  }

  static override get useLimitInFirst() {
    return true;
  }
}

const snakeCaseColumns = {
  parse: (row: Record<string, unknown>) => mapKeys(row, toCamel),
  format: (row: Record<string, unknown>) => mapKeys(row, toSnake),
};

/**
 * Runs the work in one transaction that belongs to one tenant. Every query of tenant data goes
 * through here: the transaction becomes the role that row-level security binds to the tenant, so
 * that a query which forgets its own condition still finds nothing of another one.
 */
export function withTenant<T>(
  db: Knex,
  tenantId: string,
  work: (trx: Knex.Transaction) => Promise<T>,
  options: { isolationLevel?: Knex.IsolationLevels; arePlansKept?: boolean } = {},
): Promise<T> {
  const { arePlansKept, ...transaction } = options;
  return db.transaction(async (trx) => {
    await ofTenant(trx, tenantId, arePlansKept === true);
    return work(trx);
  }, transaction);
}

/**
 * The same for statements that find a few rows by their key: each connection plans them once, and not
 * anew for the values of each of its first five runs: a small campaign gives it hardly more.
 */
export function withTenantByKey<T>(
  db: Knex,
  tenantId: string,
  work: (trx: Knex.Transaction) => Promise<T>,
): Promise<T> {
  return withTenant(db, tenantId, work, { arePlansKept: true });
}

/** Sends statements as `forTenantInOneTrip` does. */
export type TenantTrip = (
  tenantId: string,
  statements: readonly TripStatement[],
) => Promise<Rows[]>;

export function tripAlone(db: Knex): TenantTrip {
  return (tenantId, statements) => forTenantInOneTrip(db, tenantId, statements);
}

/**
 * A few such statements sent together, in one transaction of the tenant: the ledger's steps of a
 * call wait for the database once each, not four times.
 */
export async function forTenantInOneTrip(
  db: Knex,
  tenantId: string,
  statements: readonly TripStatement[],
): Promise<Rows[]> {
  const [, ...rows] = await inOneTrip(db, [{ raw: ofTenantInTrip({ tenantId }) }, ...statements]);
  return rows;
}

const keptPlans = `, set_config('plan_cache_mode', 'force_generic_plan', true)`;

const ofTenantInTrip = prepareOnce(
  'ofTenant',
  `select set_config('carillon.tenant_id', :tenantId, true), set_config('role', 'carillon_tenant', true)${keptPlans}`,
);

function ofTenant(trx: Pick<Knex, 'raw'>, tenantId: string, arePlansKept: boolean): Knex.Raw {
  return trx.raw(
    `select set_config('carillon.tenant_id', ?, true), set_config('role', 'carillon_tenant', true)${arePlansKept ? keptPlans : ''}`,
    [tenantId],
  );
}

/**
 * The only reasons to look across tenants. Which tables each of them opens, and for what, is written
 * in migrations, where the walls are raised; why, where it is used.
 */
export type CrossTenantPurpose =
  | 'identity'
  | 'eventIntake'
  | 'eventApply'
  | 'reconcile'
  | 'tracking'
  | 'platformAccounts'
  | 'credentials'
  | 'rates'
  | 'inbound'
  | 'transactional'
  | 'platformAdmin'
  | 'rateCounters'
  | 'payloadKeys'
  | 'resealing'
  | 'readiness'
  | 'llmRing'
  | 'llmLedger';

/** Runs one of the few cross-tenant statements, as a role that sees what its purpose needs alone. */
export function acrossTenants<T>(
  db: Knex,
  purpose: CrossTenantPurpose,
  work: (trx: Knex.Transaction) => Promise<T>,
  options: { isolationLevel?: Knex.IsolationLevels } = {},
): Promise<T> {
  return db.transaction(async (trx) => {
    await forPurpose(trx, purpose, false);
    return work(trx);
  }, options);
}

/** The same, on a connection that is cut when all of it takes longer. */
export function acrossTenantsBy<T>(
  db: Knex,
  { purpose, deadlineMs }: { purpose: CrossTenantPurpose; deadlineMs: number },
  work: (trx: Knex.Transaction) => Promise<T>,
): Promise<T> {
  return onConnection(db, { deadlineMs }, (connection) =>
    db.transaction(
      async (trx) => {
        await forPurpose(trx, purpose, false);
        return work(trx);
      },
      { connection },
    ),
  );
}

/**
 * The same for a few statements that are sent together. With `arePlansKept` each connection plans
 * them once, for statements that find rows by their keys.
 */
export async function acrossTenantsInOneTrip(
  db: Knex,
  purpose: CrossTenantPurpose,
  statements: readonly TripStatement[],
  options: TripOptions & { arePlansKept?: boolean } = {},
): Promise<Rows[]> {
  const { arePlansKept = false, ...ofTrip } = options;
  const first = {
    raw: forPurpose(db, purpose, arePlansKept).options({
      name: arePlansKept ? `${purpose}:kept` : purpose,
    }),
  };
  const [, ...rows] = await inOneTrip(db, [first, ...statements], ofTrip);
  return rows;
}

/** Connections that look across tenants for one purpose all their life. */
export interface PurposeDatabase {
  /** A few statements in one transaction, sent together; one alone costs a single message. */
  inOneTrip(statements: readonly TripStatement[]): Promise<Rows[]>;
  close(): Promise<void>;
}

/**
 * A small pool of such connections beside `db`, for statements that somebody waits for all the time:
 * the role, the purpose and these settings are set once, not in each transaction, which takes longer
 * than a statement of theirs. Nothing else may use them.
 */
export function createPurposeDatabase(
  db: Knex,
  purpose: CrossTenantPurpose,
  { poolMax, settings }: { poolMax: number; settings: Readonly<Record<string, string>> },
): PurposeDatabase {
  const pool = besideDatabase(db, {
    poolMax,
    settings: { ...settings, 'carillon.purpose': purpose, role: 'carillon_platform' },
  });
  return {
    inOneTrip: (statements) => inOneTrip(pool, statements),
    close: () => pool.destroy(),
  };
}

/**
 * One step across tenants in the middle of a tenant's transaction, which it commits or fails with.
 * When the step throws, the transaction has failed and is rolled back.
 */
export async function acrossTenantsWithin<T>(
  trx: Knex.Transaction,
  { tenantId, purpose }: { tenantId: string; purpose: CrossTenantPurpose },
  work: (trx: Knex.Transaction) => Promise<T>,
): Promise<T> {
  await forPurpose(trx, purpose, false);
  const done = await work(trx);
  await trx.raw(`select set_config('carillon.purpose', '', true)`);
  await ofTenant(trx, tenantId, false);
  return done;
}

/** The same in the middle of a transaction that looks across tenants already, for another purpose. */
export async function forOtherPurpose<T>(
  trx: Knex.Transaction,
  { own, purpose }: { own: CrossTenantPurpose; purpose: CrossTenantPurpose },
  work: (trx: Knex.Transaction) => Promise<T>,
): Promise<T> {
  await forPurpose(trx, purpose, false);
  const done = await work(trx);
  await forPurpose(trx, own, false);
  return done;
}

function forPurpose(
  trx: Pick<Knex, 'raw'>,
  purpose: CrossTenantPurpose,
  arePlansKept: boolean,
): Knex.Raw {
  return trx.raw(
    `select set_config('carillon.purpose', '${purpose}', true), set_config('role', 'carillon_platform', true)${arePlansKept ? keptPlans : ''}`,
  );
}

function mapKeys(row: Record<string, unknown>, rename: (key: string) => string) {
  return Object.fromEntries(Object.entries(row).map(([key, value]) => [rename(key), value]));
}

function toCamel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function toSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
