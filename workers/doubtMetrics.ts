import { vendors } from '../domain/messages/accounts/types';
import type { Knex } from '../lib/db';
import { Gauge, type Registry } from '../lib/metrics';
import { countOpenDoubts, type OpenDoubts } from '../models/messages/doubtsCount';
import { readOrNull } from './eventMetrics';

/**
 * Adds how many calls are in doubt, and how long the first of them has been, by vendor. They are of the
 * whole installation, so every worker shows the same; without Postgres none.
 */
export function collectDoubtMetrics(registry: Registry, db: Knex): void {
  const add = (name: string, help: string, valueOf: (doubts: OpenDoubts) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['vendor'],
      registers: [registry],
      async collect() {
        const doubts = await readOrNull(db, 'reconcile', countOpenDoubts);
        this.reset();
        for (const vendor of doubts === null ? [] : vendors) {
          this.set({ vendor }, 0);
        }
        for (const each of doubts ?? []) {
          this.set({ vendor: each.vendor }, valueOf(each));
        }
      },
    });
  add('carillon_doubts_open', 'Calls in doubt, by vendor', ({ calls }) => calls);
  add(
    'carillon_doubts_oldest_seconds',
    'How long ago the first of the calls in doubt was made, by vendor',
    ({ oldestSeconds }) => oldestSeconds,
  );
}
