import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import { hashToken } from '../../lib/tokens';
import { newRecoveryCodes, normalizedRecoveryCode, totpStep } from '../../lib/totp';
import { sealedPlace } from './sealedPlaces';

/** What somebody shows as their second factor. */
export type SecondFactor = { code: string } | { recoveryCode: string };

// Whoever looked on when the seed was shown does not turn it on some other day.
const proposedMinutes = 15;

/**
 * Keeps a seed that is to be shown by a code before it counts; one before it that was not is replaced.
 * False for a person who has a second factor already.
 */
export async function proposeMfa(
  trx: Knex.Transaction,
  sealing: Sealing,
  { userId, secret }: { userId: string; secret: string },
): Promise<boolean> {
  const written = await trx.raw(
    `update users set mfa_secret = :sealed, mfa_last_step = null,
            mfa_proposed_at = clock_timestamp()
      where id = :userId and mfa_enabled_at is null
     returning id`,
    { userId, sealed: sealing.seal(secret, placeOf(userId)) },
  );
  return written.rows.length > 0;
}

export type Enabled =
  | { kind: 'enabled'; recoveryCodes: string[] }
  | { kind: 'wrongCode' }
  | { kind: 'notProposed' };

/**
 * Has the person log in with the proposed seed from now on, if the code is of it. Their other sessions
 * have to show it before anything dangerous.
 */
export async function enableMfa(
  trx: Knex.Transaction,
  sealing: Sealing,
  {
    userId,
    sessionId,
    code,
    at,
  }: { userId: string; sessionId: string | null; code: string; at: Date },
): Promise<Enabled> {
  const found = await trx.raw(
    `select mfa_secret as sealed from users
      where id = :userId and mfa_enabled_at is null and mfa_secret is not null
        and mfa_proposed_at > clock_timestamp() - make_interval(mins => ${proposedMinutes})
        for update`,
    { userId },
  );
  const row: { sealed: string } | undefined = found.rows[0];
  if (row === undefined) {
    return { kind: 'notProposed' };
  }
  const step = totpStep(sealing.open(row.sealed, placeOf(userId)), code, at);
  if (step === null) {
    return { kind: 'wrongCode' };
  }
  await trx.raw(
    'update users set mfa_enabled_at = clock_timestamp(), mfa_last_step = :step where id = :userId',
    { userId, step },
  );
  await trx.raw(
    `update sessions set mfa_at = case when id = :sessionId then clock_timestamp() end
      where user_id = :userId`,
    { userId, sessionId },
  );
  return { kind: 'enabled', recoveryCodes: await renewRecoveryCodes(trx, userId) };
}

/** Takes the second factor away, with its recovery codes. False for who has none. */
export async function disableMfa(trx: Knex.Transaction, userId: string): Promise<boolean> {
  const written = await trx.raw(
    `update users set mfa_secret = null, mfa_enabled_at = null, mfa_last_step = null
      where id = :userId and mfa_enabled_at is not null
     returning id`,
    { userId },
  );
  await trx.raw('delete from recovery_codes where user_id = ?', [userId]);
  return written.rows.length > 0;
}

/** Ten new recovery codes in place of those before; stored as hashes, so that they are shown once. */
export async function renewRecoveryCodes(trx: Knex.Transaction, userId: string): Promise<string[]> {
  const codes = newRecoveryCodes();
  await trx.raw('delete from recovery_codes where user_id = ?', [userId]);
  await trx.raw(
    'insert into recovery_codes (user_id, hash) select :userId, unnest(cast(:hashes as bytea[]))',
    { userId, hashes: codes.map(hashOf) },
  );
  return codes;
}

/**
 * Whether it is the person's second factor, which is taken by this: a code is good once, and so is a
 * recovery code, also for two who show it at the same moment.
 */
export function takeSecondFactor(
  trx: Knex.Transaction,
  sealing: Sealing,
  { userId, factor, at }: { userId: string; factor: SecondFactor; at: Date },
): Promise<boolean> {
  return 'code' in factor
    ? takeCode(trx, sealing, { userId, code: factor.code, at })
    : takeRecoveryCode(trx, userId, factor.recoveryCode);
}

async function takeCode(
  trx: Knex.Transaction,
  sealing: Sealing,
  { userId, code, at }: { userId: string; code: string; at: Date },
): Promise<boolean> {
  const found = await trx.raw(
    `select mfa_secret as sealed from users
      where id = :userId and mfa_enabled_at is not null and mfa_secret is not null`,
    { userId },
  );
  const row: { sealed: string } | undefined = found.rows[0];
  const step =
    row === undefined ? null : totpStep(sealing.open(row.sealed, placeOf(userId)), code, at);
  if (step === null) {
    return false;
  }
  // Codes of earlier steps are over with it, because whoever looks on reads those, too.
  const taken = await trx.raw(
    `update users set mfa_last_step = :step
      where id = :userId and (mfa_last_step is null or mfa_last_step < :step)
     returning id`,
    { userId, step },
  );
  return taken.rows.length > 0;
}

async function takeRecoveryCode(
  trx: Knex.Transaction,
  userId: string,
  code: string,
): Promise<boolean> {
  const taken = await trx.raw(
    `update recovery_codes set used_at = clock_timestamp()
      where user_id = :userId and hash = :hash and used_at is null
     returning hash`,
    { userId, hash: hashOf(code) },
  );
  return taken.rows.length > 0;
}

function hashOf(code: string): Buffer {
  return hashToken(normalizedRecoveryCode(code));
}

function placeOf(userId: string) {
  return sealedPlace('mfaSecrets', { key: [userId], tenantId: null });
}
