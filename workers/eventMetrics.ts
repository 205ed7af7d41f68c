import { isDatabaseUnavailable } from '../lib/databaseErrors';
import type { Knex } from '../lib/db';
import { Gauge, type Registry } from '../lib/metrics';
import { acrossTenants, type CrossTenantPurpose } from '../models/base';
import { countWaitingEvents, listSetAside } from '../models/messages/setAside';

/**
 * Adds how many events wait to be applied, how long the oldest has, and how many are set aside, by
 * reason. They are of the whole installation, so every worker shows the same; without Postgres none.
 */
export function collectEventMetrics(registry: Registry, db: Knex): void {
  const registers = [registry];
  const add = (
    gauge: { name: string; help: string },
    read: (trx: Knex.Transaction) => Promise<number>,
  ) =>
    new Gauge({
      ...gauge,
      registers,
      async collect() {
        const value = await readOrNull(db, 'eventApply', read);
        if (value === null) {
          this.remove();
        } else {
          this.set(value);
        }
      },
    });
  add(
    {
      name: 'carillon_events_waiting',
      help: 'Events that are stored and not applied to the ledger',
    },
    async (trx) => (await countWaitingEvents(trx)).events,
  );
  add(
    {
      name: 'carillon_events_oldest_waiting_seconds',
      help: 'How long the oldest event that is not applied has waited',
    },
    async (trx) => (await countWaitingEvents(trx)).oldestSeconds,
  );
  new Gauge({
    name: 'carillon_events_set_aside',
    help: 'Events that could not be stored or applied, by reason',
    labelNames: ['reason'],
    registers,
    async collect() {
      const reasons = await readOrNull(db, 'eventApply', listSetAside);
      this.reset();
      for (const { reason, events } of reasons ?? []) {
        this.set({ reason }, events);
      }
    },
  });
}

/** What is read, or null while Postgres is away: the other numbers are worth showing then. */
export async function readOrNull<T>(
  db: Knex,
  purpose: CrossTenantPurpose,
  read: (trx: Knex.Transaction) => Promise<T>,
): Promise<T | null> {
  try {
    return await acrossTenants(db, purpose, read);
  } catch (error) {
    if (isDatabaseUnavailable(error)) {
      return null;
    }
    throw error;
  }
}
