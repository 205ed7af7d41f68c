import type { Knex } from '../../lib/db';
import { forgetSigningKeys } from './signingKeys';

// Sessions are known for a month after their end: by whom and from where somebody was signed in. So
// are used refresh tokens, for as long as one that is shown again should end its session.
const keptDays = 30;

/** So many rows of a table are taken away at once. */
export const forgottenAtOnce = 5_000;

interface Forgotten {
  table: 'sessions' | 'refresh_tokens' | 'user_tokens' | 'sign_in_failures';
  over: string;
}

const forgotten: readonly Forgotten[] = [
  {
    table: 'sessions',
    over: `least(expires_at, coalesce(revoked_at, 'infinity')) < now() - interval '${keptDays} days'`,
  },
  {
    table: 'refresh_tokens',
    over: `used_at is not null and issued_at < now() - interval '${keptDays + 7} days'`,
  },
  { table: 'user_tokens', over: `expires_at < now() - interval '1 day'` },
  {
    table: 'sign_in_failures',
    over: `last_at < now() - interval '2 days' and coalesce(locked_until, '-infinity') < now()`,
  },
];

/**
 * Takes away what is over of signing in: sessions, tokens, counters, keys. Answers how many rows, at
 * most a batch of each table; a full batch means that there may be more.
 */
export async function forgetSignIns(
  trx: Knex.Transaction,
): Promise<{ rows: number; isMoreLeft: boolean }> {
  let rows = 0;
  let isMoreLeft = false;
  for (const { table, over } of forgotten) {
    const gone = await trx.raw(
      `delete from ${table} where ctid = any(array(
         select ctid from ${table} where ${over} limit ${forgottenAtOnce}))`,
    );
    rows += gone.rowCount;
    isMoreLeft ||= gone.rowCount === forgottenAtOnce;
  }
  await forgetSigningKeys(trx);
  return { rows, isMoreLeft };
}
