import type { Knex, Rows } from '../../lib/db';
import { acrossTenantsInOneTrip } from '../base';

/** What rate-limiter-flexible calls a client of Postgres. */
export interface RateCounterStore {
  query(statement: {
    text: string;
    values?: readonly (string | number | null)[];
    name?: string;
  }): Promise<{ rows: Rows; rowCount: number }>;
}

/**
 * The library's statements on our pool and behind our walls: who asks may be of any tenant or of
 * none. Each is one trip to the database, so a request waits for its counter once. `rowCount` is of rows
 * that came back: what a delete took away is not counted.
 */
export function rateCounterStore(db: Knex): RateCounterStore {
  return {
    async query({ text, values = [], name }) {
      const raw = db.raw(
        // Knex numbers the places of the values by itself.
        text.replace(/\$(\d+)/g, ':v$1 '),
        Object.fromEntries(values.map((value, index) => [`v${index + 1}`, value])),
      );
      const statement = { raw: name === undefined ? raw : raw.options({ name }) };
      const options = { arePlansKept: true };
      const [rows = []] = await acrossTenantsInOneTrip(db, 'rateCounters', [statement], options);
      return { rows, rowCount: rows.length };
    },
  };
}
