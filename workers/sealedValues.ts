import type { Client } from '@temporalio/client';
import type { Knex } from '../lib/db';
import type { Logger } from '../lib/logger';
import type { Sealing } from '../lib/sealing';
import { acrossTenants } from '../models/base';
import { countSealed, introduceKey, newestKey } from '../models/identity/resealing';
import { startResealing } from './schedules';

interface SealedValuesDeps {
  db: Knex;
  client: Client;
  sealing: Sealing;
  logger: Logger;
}

const lookEveryMs = 60 * 60_000;

/**
 * Looks now and every hour whether values are sealed with an older key of ours, and has them sealed
 * again. Processes that still have the older key first may seal with it after the last look.
 */
export async function watchSealedValues(deps: SealedValuesDeps): Promise<void> {
  await lookAtSealedValues(deps);
  const again = () =>
    lookAtSealedValues(deps).catch((error: unknown) => {
      deps.logger.warn({ err: error }, 'sealed values could not be looked at');
    });
  setInterval(() => void again(), lookEveryMs).unref();
}

/** One look; safe to repeat, and by several processes at once. */
export async function lookAtSealedValues({
  db,
  client,
  sealing,
  logger,
}: SealedValuesDeps): Promise<void> {
  const { newest, counts } = await acrossTenants(db, 'resealing', async (trx) => {
    await introduceKey(trx, sealing.keyId);
    return { newest: await newestKey(trx), counts: await countSealed(trx) };
  });
  const others = counts.filter(({ keyId }) => keyId !== sealing.keyId);
  const missing = others.filter(({ keyId }) => !sealing.keyIds.includes(keyId));
  if (missing.length > 0) {
    logger.error({ missing }, 'values are sealed with keys that SEALING_KEYS lacks');
  }
  // With a newer key about, this process is one that is still to be changed over.
  if (newest === sealing.keyId && others.length > missing.length) {
    await startResealing(client, sealing.keyId);
    logger.info({ keyId: sealing.keyId }, 'values of older keys are sealed again');
  }
}
