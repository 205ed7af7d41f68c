import { inOneTrip, type Knex } from '../../lib/db';

/** The channel of Postgres on which lanes are told that there is something to send. */
export const newMessages = 'carillon_transactional';

/**
 * Tells the lanes, after the commit of what they are to send. Not in its transaction: those that notify
 * commit one after the other, each waiting for the disk. This one waits for nothing, and what it tells
 * may be lost: lanes look by themselves, too.
 */
export async function tellLanes(db: Knex): Promise<void> {
  await inOneTrip(db, [
    { raw: db.raw('set local synchronous_commit = off') },
    { raw: db.raw(`select pg_notify('${newMessages}', '')`) },
  ]);
}
