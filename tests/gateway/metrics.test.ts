import { platformPool } from '../../domain/llm/types';
import { collectRingMetrics } from '../../gateway/metrics';
import type { RingKey } from '../../gateway/types';
import { createMetrics } from '../../lib/metrics';

const key = (poolId: string, state: RingKey['state'], inFlight: number): RingKey => ({
  keyId: 'key',
  accountId: 'account',
  poolId,
  state,
  scope: null,
  reason: null,
  until: null,
  inFlight,
});

test('counts keys by state and calls under way, of the platform and of all tenants together', async () => {
  const registry = createMetrics('api');
  let keys = [
    key(platformPool, 'active', 3),
    key(platformPool, 'cooling', 0),
    key('tenant', 'active', 1),
    key('other', 'active', 1),
  ];
  collectRingMetrics(registry, { snapshot: () => keys });
  const first = await registry.metrics();
  expect(first).toContain('carillon_llm_keys{pool="platform",state="cooling",process="api"} 1');
  expect(first).toContain('carillon_llm_keys{pool="tenants",state="active",process="api"} 2');
  expect(first).toContain('carillon_llm_calls_in_flight{pool="platform",process="api"} 3');
  expect(first).toContain('carillon_llm_calls_in_flight{pool="tenants",process="api"} 2');
  keys = [];
  const second = await registry.metrics();
  expect(second).toContain('carillon_llm_keys{pool="platform",state="cooling",process="api"} 0');
  expect(second).toContain('carillon_llm_calls_in_flight{pool="platform",process="api"} 0');
});
