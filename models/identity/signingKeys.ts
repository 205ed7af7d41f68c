import {
  createHash,
  createPrivateKey,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import {
  accessTokenSeconds,
  createAccessTokens,
  type AccessTokens,
  type SigningKey,
} from '../../lib/accessTokens';
import type { Knex } from '../../lib/db';
import { SealingError, type Sealing } from '../../lib/sealing';
import { acrossTenants } from '../base';
import { sealedPlace } from './sealedPlaces';

/** How long a key signs before the next one is made. */
export const rotateAfterDays = 30;

// Every process reads the set once a minute: by then all of them know a key long before it signs,
// and one that missed a few readings goes on signing with the key before, which verifies for longer.
const publishedMinutes = 5;
const verifiesLongerMinutes = 10;

/**
 * Access tokens by the keys of the database, the first of which is made here; `reload` reads them.
 * Later failures to read them are told to `onError`, and it is tried again.
 */
export function accessTokensOf(
  db: Knex,
  sealing: Sealing,
  options: { lifetimeSeconds?: number; onError?: (error: unknown) => void } = {},
): AccessTokens {
  return createAccessTokens(async () => {
    const keys = await loadSigningKeys(db, sealing);
    if (hasSigner(keys)) {
      return keys;
    }
    await ensureSigningKey(db, sealing);
    return loadSigningKeys(db, sealing);
  }, options);
}

/** The keys that verify now. The private half of one whose sealing key is gone is null. */
export function loadSigningKeys(db: Knex, sealing: Sealing): Promise<SigningKey[]> {
  return acrossTenants(db, 'identity', async (trx) => {
    const rows: StoredKey[] = (
      await trx.raw(
        `select kid, public_jwk as "publicJwk", private_key as "sealed",
                cast(extract(epoch from signs_from - clock_timestamp()) * 1000 as float8)
                  as "signsInMs",
                cast(extract(epoch from verifies_until - clock_timestamp()) * 1000 as float8)
                  as "verifiesForMs"
           from signing_keys
          where verifies_until is null or verifies_until > clock_timestamp()
          order by signs_from`,
      )
    ).rows;
    return rows.map(({ sealed, ...key }) => ({
      ...key,
      privateKey: opened(sealing, key.kid, sealed),
    }));
  });
}

interface StoredKey extends Omit<SigningKey, 'privateKey'> {
  sealed: string;
}

/** Makes the first key, or one in place of keys that cannot be opened any more; of many at once one does. */
async function ensureSigningKey(db: Knex, sealing: Sealing): Promise<void> {
  const pair = await newPair();
  await acrossTenants(db, 'identity', async (trx) => {
    await lockKeys(trx);
    const rows: { kid: string; sealed: string }[] = (
      await trx.raw(
        `select kid, private_key as sealed from signing_keys
          where verifies_until is null and signs_from <= clock_timestamp()`,
      )
    ).rows;
    if (!rows.some(({ kid, sealed }) => opened(sealing, kid, sealed) !== null)) {
      await insertKey(trx, sealing, pair, 0);
    }
  });
}

/**
 * Publishes a new key that takes over in a few minutes; the keys before it verify until the last of
 * their tokens is over. With `atOnce` it signs from now on and the others are nothing any more, for
 * a key that got into wrong hands: everybody then refreshes. With `ifOlderThanDays` it does nothing
 * while the newest key is younger, so that it may be called twice. Answers the new key's id.
 */
export async function rotateSigningKeys(
  db: Knex,
  sealing: Sealing,
  options: {
    atOnce?: boolean;
    ifOlderThanDays?: number;
    /** What else belongs to the same transaction: who did it. */
    alongside?: (trx: Knex.Transaction, kid: string) => Promise<void>;
  } = {},
): Promise<string | null> {
  const { atOnce = false, ifOlderThanDays = null } = options;
  const pair = await newPair();
  return acrossTenants(db, 'identity', async (trx) => {
    await lockKeys(trx);
    if (ifOlderThanDays !== null) {
      const young = await trx.raw(
        `select 1 from signing_keys
          where verifies_until is null
            and created_at > clock_timestamp() - make_interval(days => :days)`,
        { days: ifOlderThanDays },
      );
      if (young.rows.length > 0) {
        return null;
      }
    }
    const publishedSeconds = atOnce ? 0 : publishedMinutes * 60;
    const kid = await insertKey(trx, sealing, pair, publishedSeconds);
    const verifiesSeconds = atOnce
      ? 0
      : publishedSeconds + accessTokenSeconds + verifiesLongerMinutes * 60;
    await trx.raw(
      `update signing_keys
          set verifies_until = least(verifies_until,
                clock_timestamp() + make_interval(secs => :verifiesSeconds))
        where kid <> :kid and (verifies_until is null or :atOnce)`,
      { kid, verifiesSeconds, atOnce },
    );
    await options.alongside?.(trx, kid);
    return kid;
  });
}

/** Removes keys whose last token is long over. */
export async function forgetSigningKeys(trx: Knex.Transaction): Promise<void> {
  await trx.raw(
    `delete from signing_keys where verifies_until < clock_timestamp() - interval '30 days'`,
  );
}

interface Pair {
  kid: string;
  publicJwk: JsonWebKey;
  /** PKCS #8 in PEM. */
  privateKey: string;
}

async function newPair(): Promise<Pair> {
  const pair = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = pair.publicKey.export({ format: 'jwk' });
  return {
    // RFC 7638: the members in this order.
    kid: createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url'),
    publicJwk: { kty, crv, x, y },
    privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

async function insertKey(
  trx: Knex.Transaction,
  sealing: Sealing,
  { kid, publicJwk, privateKey }: Pair,
  signsInSeconds: number,
): Promise<string> {
  await trx.raw(
    `insert into signing_keys (kid, algorithm, public_jwk, private_key, signs_from)
     values (:kid, 'ES256', :publicJwk, :sealed,
             clock_timestamp() + make_interval(secs => :signsInSeconds))`,
    {
      kid,
      publicJwk: JSON.stringify(publicJwk),
      sealed: sealing.seal(privateKey, placeOf(kid)),
      signsInSeconds,
    },
  );
  return kid;
}

/** One at a time makes keys: held until the transaction ends. */
async function lockKeys(trx: Knex.Transaction): Promise<void> {
  await trx.raw(`select pg_advisory_xact_lock(hashtextextended('carillon signing keys', 0))`);
}

function hasSigner(keys: readonly SigningKey[]): boolean {
  return keys.some(({ privateKey, signsInMs }) => privateKey !== null && signsInMs <= 0);
}

function opened(sealing: Sealing, kid: string, sealed: string): KeyObject | null {
  try {
    return createPrivateKey(sealing.open(sealed, placeOf(kid)));
  } catch (error) {
    if (error instanceof SealingError) {
      return null;
    }
    throw error;
  }
}

function placeOf(kid: string) {
  return sealedPlace('signingKeys', { key: [kid], tenantId: null });
}
