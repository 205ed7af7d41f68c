import { platformPool } from '../domain/llm/types';
import { Gauge, type Registry } from '../lib/metrics';
import type { Ring, RingKey } from './types';

const states = [
  'active',
  'draining',
  'cooling',
  'suspended',
  'paused',
  'expired',
  'revoked',
] as const satisfies readonly RingKey['state'][];

/**
 * Adds how the keys of language models stand and what they have to do, as this process knows it: of
 * the platform's pool, and of all tenants' together, since there may be any number of those.
 */
export function collectRingMetrics(registry: Registry, ring: Pick<Ring, 'snapshot'>): void {
  const poolOf = ({ poolId }: RingKey) => (poolId === platformPool ? 'platform' : 'tenants');
  const pools = ['platform', 'tenants'];
  new Gauge({
    name: 'carillon_llm_keys',
    help: 'Keys of language models, by pool and state',
    labelNames: ['pool', 'state'],
    registers: [registry],
    collect() {
      for (const pool of pools) {
        for (const state of states) {
          this.set({ pool, state }, 0);
        }
      }
      for (const key of ring.snapshot()) {
        this.inc({ pool: poolOf(key), state: key.state });
      }
    },
  });
  new Gauge({
    name: 'carillon_llm_calls_in_flight',
    help: 'Calls to language models under way in this process, by pool',
    labelNames: ['pool'],
    registers: [registry],
    collect() {
      for (const pool of pools) {
        this.set({ pool }, 0);
      }
      for (const key of ring.snapshot()) {
        this.inc({ pool: poolOf(key) }, key.inFlight);
      }
    },
  });
}
