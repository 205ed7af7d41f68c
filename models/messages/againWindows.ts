import type { Knex } from 'knex';
import type { QuietHours } from '../../domain/campaigns/quietHours';
import { planWaves } from '../../domain/campaigns/waves';
import { loadTenantZone } from '../campaigns/tenantZone';

/** When the dispatches of one zone may leave once more. */
interface ZoneWindow {
  zone: string;
  startsAt: Date;
  closesAt: Date;
  waitsFor: string | null;
}

/** The windows of these dispatches' zones, from now on by the database's clock, never in quiet hours. */
export async function planAgainWindows(
  trx: Knex.Transaction,
  again: {
    tenantId: string;
    runId: string;
    ns: readonly number[];
    windowMinutes: number;
    quietHours: QuietHours | null;
  },
): Promise<ZoneWindow[]> {
  const { tenantId, runId, ns, windowMinutes, quietHours } = again;
  const found = await trx.raw(
    `select d.time_zone as zone, clock_timestamp() as now, count(*) as customers
       from dispatches d
      where d.tenant_id = :tenantId and d.run_id = :runId and d.n = any(cast(:ns as int[]))
      group by d.time_zone`,
    { tenantId, runId, ns },
  );
  const groups: { zone: string; now: Date; customers: number }[] = found.rows;
  const [first] = groups;
  if (first === undefined) {
    return [];
  }
  const plan = planWaves({
    spec: { kind: 'now', windowMinutes, quietHours },
    groups: groups.map(({ zone, customers }) => ({ zone: zoneOf(zone), customers })),
    tenantZone: await loadTenantZone(trx, tenantId),
    now: first.now,
  });
  const windowOf = new Map(
    plan.waves.map(({ n, startsAt, closesAt, waitsFor }) => [
      n,
      { startsAt, closesAt, waitsFor: waitsFor ?? null },
    ]),
  );
  return groups.flatMap(({ zone }) => {
    const window = windowOf.get(plan.zoneWave.get(zoneOf(zone)) ?? 0);
    return window === undefined ? [] : [{ zone, ...window }];
  });
}

function zoneOf(stored: string): string | null {
  return stored === '' ? null : stored;
}
