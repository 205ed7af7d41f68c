import { createSecretKey, randomBytes } from 'node:crypto';
import { isDatabaseUnavailable } from '../../lib/databaseErrors';
import type { Knex } from '../../lib/db';
import { isId, newRandomId } from '../../lib/ids';
import type { Logger } from '../../lib/logger';
import { PayloadError, type DataKey, type DataKeys } from '../../lib/payloadCodec';
import type { SealedPlace, Sealing } from '../../lib/sealing';
import { acrossTenants } from '../base';
import { audit } from './audit';
import { sealedPlace } from './sealedPlaces';

/**
 * A key makes way for the next one after this. A random nonce of 96 bits is good for four thousand
 * million payloads a key: over a thousand a second for all of this time.
 */
const lifetimeDays = 30;
/** How soon every process uses a key that was made current elsewhere. */
const currentForMs = 5 * 60_000;
/** For this long nobody asks the database again after it did not answer. */
const pauseMs = 1_000;
/** A workflow task is over after 10 s, whatever it waits for. */
const patienceMs = 3_000;
const maxCached = 20_000;
const keyBytes = 32;

export interface CachedDataKeys extends DataKeys {
  /**
   * Gets the platform's key, or throws why that cannot be. A worker does so before it takes work:
   * the SDK encrypts even the report of a failure, and a worker that could not would end.
   */
  prepare(): Promise<void>;
}

interface Row {
  id: string;
  tenantId: string | null;
  generation: number;
  sealedKey: string;
  isDue: boolean;
}

/**
 * The data keys of all tenants, made when they are first needed and kept in memory. While the
 * database is away, keys that were used before go on being used, and what has no key yet is
 * encrypted with the platform's: that shows it to fewer people, never to more.
 */
export function createDataKeys(deps: {
  db: Knex;
  sealing: Sealing;
  logger: Logger;
}): CachedDataKeys {
  const opened = new Map<string, DataKey>();
  const currents = new Map<string | null, { key: DataKey; until: number }>();
  const underWay = new Map<string, Promise<DataKey>>();
  let pausedUntil = 0;

  return { current, byId, prepare: async () => void (await current(null)) };

  async function current(tenantId: string | null): Promise<DataKey> {
    const known = currents.get(tenantId);
    if (known !== undefined && known.until > Date.now()) {
      return known.key;
    }
    try {
      return await reach(`current ${tenantId}`, async () => {
        const key = await currentOrNew(tenantId);
        remember(currents, tenantId, { key, until: Date.now() + currentForMs });
        return key;
      });
    } catch (error) {
      const standIn = known?.key ?? currents.get(null)?.key;
      if (standIn === undefined) {
        throw error;
      }
      deps.logger.warn({ tenantId, err: error }, 'a tenant’s data key is not to be had now');
      remember(currents, tenantId, { key: standIn, until: Date.now() + pauseMs });
      return standIn;
    }
  }

  async function byId(keyId: string): Promise<DataKey> {
    const known = opened.get(keyId);
    if (known !== undefined) {
      return known;
    }
    const row = isId(keyId) ? keyId : null;
    if (row === null) {
      throw new PayloadError('malformed', 'The payload names no data key.');
    }
    return reach(keyId, async () => {
      const found = await acrossTenants(deps.db, 'payloadKeys', (trx) => findById(trx, row));
      if (found === undefined) {
        throw new PayloadError('unknownKey', `There is no data key ${keyId}.`);
      }
      return open(found);
    });
  }

  async function currentOrNew(tenantId: string | null): Promise<DataKey> {
    const newest = await acrossTenants(deps.db, 'payloadKeys', async (trx) => {
      const found = await findNewest(trx, tenantId);
      return found === undefined || found.isDue
        ? makeNext(trx, deps.sealing, tenantId, found)
        : found;
    });
    // Without such a tenant there is nobody whose key it could be.
    return newest === undefined ? current(null) : open(newest);
  }

  function open(row: Row): DataKey {
    const known = opened.get(row.id);
    if (known !== undefined) {
      return known;
    }
    const bytes = Buffer.from(deps.sealing.open(row.sealedKey, placeOf(row)), 'base64');
    const key = { id: row.id, tenantId: row.tenantId, key: createSecretKey(bytes) };
    remember(opened, row.id, key);
    return key;
  }

  // Whoever needs the same key meanwhile waits for the same answer, and nobody waits for long.
  async function reach(name: string, work: () => Promise<DataKey>): Promise<DataKey> {
    const asked = underWay.get(name) ?? start(name, work);
    try {
      return await within(patienceMs, asked);
    } catch (cause) {
      if (cause instanceof PayloadError) {
        throw cause;
      }
      if (cause instanceof Late) {
        pausedUntil = Date.now() + pauseMs;
        forget(name, asked);
      }
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new PayloadError('keyUnavailable', `A data key is not to be had now: ${reason}`, {
        cause,
      });
    }
  }

  function start(name: string, work: () => Promise<DataKey>): Promise<DataKey> {
    if (pausedUntil > Date.now()) {
      return Promise.reject(new Error('the database did not answer a moment ago'));
    }
    const asked = work().catch((error: unknown) => {
      if (isDatabaseUnavailable(error)) {
        pausedUntil = Date.now() + pauseMs;
      }
      throw error;
    });
    underWay.set(name, asked);
    // Its answer may come after everybody has stopped waiting.
    const over = () => forget(name, asked);
    asked.then(over, over);
    return asked;
  }

  // Not one that was begun since: nobody would wait for it together.
  function forget(name: string, asked: Promise<DataKey>): void {
    if (underWay.get(name) === asked) {
      underWay.delete(name);
    }
  }
}

/**
 * Makes a new key the current one of a tenant, or with null of the platform. Others go on decrypting
 * what they encrypted; every process has changed over within five minutes. Two at once make one key.
 */
export async function rotateDataKey(
  db: Knex,
  sealing: Sealing,
  tenantId: string | null,
): Promise<{ keyId: string } | null> {
  const made = await acrossTenants(db, 'payloadKeys', async (trx) => {
    const next = await makeNext(trx, sealing, tenantId, await findNewest(trx, tenantId));
    if (next !== undefined) {
      await audit(trx, {
        tenantId,
        actor: { kind: 'operator', id: null },
        action: 'dataKey.rotated',
        target: { kind: 'dataKey', id: next.id },
      });
    }
    return next;
  });
  return made === undefined ? null : { keyId: made.id };
}

// Nobody waits for another one who makes the same generation: one is kept and both read it.
async function makeNext(
  trx: Knex.Transaction,
  sealing: Sealing,
  tenantId: string | null,
  newest: Row | undefined,
): Promise<Row | undefined> {
  const id = newRandomId();
  const key = randomBytes(keyBytes).toString('base64');
  const row = {
    id,
    tenantId,
    generation: (newest?.generation ?? 0) + 1,
    sealedKey: sealing.seal(key, placeOf({ id, tenantId })),
  };
  await trx.raw(
    `insert into tenant_data_keys (id, tenant_id, generation, sealed_key)
     select cast(:id as uuid), cast(:tenantId as uuid), cast(:generation as int), :sealedKey
      where cast(:tenantId as uuid) is null or exists (select from tenants where id = cast(:tenantId as uuid))
     on conflict on constraint tenant_data_keys_generation do nothing`,
    row,
  );
  return findNewest(trx, tenantId);
}

// A condition with null finds the rows of the platform: Knex writes "is null".
async function findNewest(
  trx: Knex.Transaction,
  tenantId: string | null,
): Promise<Row | undefined> {
  return findWhere(trx, { tenant_id: tenantId });
}

async function findById(trx: Knex.Transaction, id: string): Promise<Row | undefined> {
  return findWhere(trx, { id });
}

async function findWhere(
  trx: Knex.Transaction,
  condition: Record<string, string | null>,
): Promise<Row | undefined> {
  return trx('tenant_data_keys')
    .where(condition)
    .orderBy('generation', 'desc')
    .first<Row | undefined>(
      'id',
      'tenant_id as tenantId',
      'generation',
      'sealed_key as sealedKey',
      trx.raw(`created_at < now() - make_interval(days => ?) as "isDue"`, [lifetimeDays]),
    );
}

function placeOf({ id, tenantId }: Pick<Row, 'id' | 'tenantId'>): SealedPlace {
  return sealedPlace('dataKeys', { key: [id], tenantId });
}

// The oldest goes first: a Map keeps the order in which its keys came.
function remember<K, V>(cache: Map<K, V>, name: K, value: V): void {
  cache.delete(name);
  cache.set(name, value);
  const [oldest] = cache.keys();
  if (cache.size > maxCached && oldest !== undefined) {
    cache.delete(oldest);
  }
}

class Late extends Error {
  constructor(timeMs: number) {
    super(`no answer within ${timeMs} ms`);
  }
}

async function within<T>(timeMs: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Late(timeMs)), timeMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
