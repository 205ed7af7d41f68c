import type { Knex } from 'knex';
import type { Rows } from '../../lib/db';
import { acrossTenantsInOneTrip } from '../base';

/**
 * Runs a statement about accounts that several tenants may share, alone and in one trip: whoever asks,
 * all of them wait in one line.
 */
export async function ofAccounts(
  db: Knex,
  raw: Knex.Raw,
  onLeaving = () => undefined,
): Promise<Rows> {
  const [rows] = await acrossTenantsInOneTrip(db, 'rates', [{ raw }], { onLeaving });
  return rows ?? [];
}

/**
 * Stops the whole account for a while, as the vendor asked or because it can't be reached, unless it
 * is stopped for longer. Lost in a crash, the next call is told again.
 */
export async function blockAccount(
  db: Knex,
  accountId: string,
  block: { forMs: number; reason: string },
): Promise<void> {
  await ofAccounts(
    db,
    db.raw(
      `update provider_accounts
        set blocked_until = clock_timestamp() + :forMs * interval '1 millisecond',
            blocked_reason = :reason
      where id = :accountId
        and coalesce(blocked_until, '-infinity') < clock_timestamp() + :forMs * interval '1 millisecond'`,
      { accountId, ...block },
    ),
  );
}

/** The vendor asked to slow down: the account goes at half its pace. Calls of one burst count once. */
export async function slowDown(db: Knex, accountId: string): Promise<void> {
  await ofAccounts(
    db,
    db.raw(
      `update provider_accounts
        set slowed_to = greatest(${slowedTo} / 2, 0.05), slowed_at = clock_timestamp()
      where id = ? and coalesce(slowed_at, '-infinity') < clock_timestamp() - interval '10 seconds'`,
      [accountId],
    ),
  );
}

// After a refusal for now the account goes at half its pace and takes ten minutes to be back.
export const slowedTo = `least(1, slowed_to
  + extract(epoch from clock_timestamp() - coalesce(slowed_at, '-infinity')) / 600)`;
