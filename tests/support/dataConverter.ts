import type { DataConverter } from '@temporalio/common';
import { createDataConverter } from '../../clients/dataConverter';
import type { Knex } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { createDataKeys, type CachedDataKeys } from '../../models/identity/dataKeys';
import { testSealing } from './accounts';

/** How clients that exchange nothing with a worker of ours write payloads. */
export const inClear: DataConverter = {};

/** The data keys of a database, sealed with the key of the tests. */
export function testDataKeys(db: Knex): CachedDataKeys {
  return createDataKeys({
    db,
    sealing: testSealing,
    logger: createLogger({ name: 'test', level: 'fatal' }),
  });
}

/** Encrypts as the product does, with the keys of this database. */
export function testDataConverter(db: Knex): DataConverter {
  return createDataConverter(testDataKeys(db));
}
