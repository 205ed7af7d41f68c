import type { Knex } from '../lib/db';
import { Gauge, type Registry } from '../lib/metrics';
import { countSealed, type SealedCount } from '../models/identity/resealing';
import { readOrNull } from './eventMetrics';

// They are counted by reading every row, and change when a key does.
const keptForMs = 60_000;

/**
 * Adds how many sealed values there are of each key, at most a minute old. They are of the whole
 * installation, so every worker shows the same; without Postgres none.
 */
export function collectSealingMetrics(registry: Registry, db: Knex): void {
  let kept: { counts: SealedCount[] | null; untilMs: number } = { counts: null, untilMs: 0 };
  new Gauge({
    name: 'carillon_sealed_values',
    help: 'Sealed values, by the key they are sealed with',
    labelNames: ['key_id'],
    registers: [registry],
    async collect() {
      if (kept.counts === null || kept.untilMs < Date.now()) {
        const counts = await readOrNull(db, 'resealing', countSealed);
        kept = { counts, untilMs: Date.now() + keptForMs };
      }
      this.reset();
      for (const { keyId, values } of kept.counts ?? []) {
        this.inc({ key_id: keyId }, values);
      }
    },
  });
}
