import { planWaves } from '../../domain/campaigns/waves';
import { canonicalZone } from '../../domain/campaigns/zones';
import type { Schedule } from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import { insertTenant } from '../../tests/support/records';

/** How many waves the plan of the benchmark has. */
export const waveCount = 38;

/** A tenant with its customers, and when campaigns go out to them. */
export interface BenchTenant {
  tenantId: string;
  customers: number;
  schedule: Schedule;
}

/** One zone for each instant at which it becomes nine o'clock somewhere. */
function findZones(): { zones: string[]; schedule: Schedule } {
  // The ship's zone at the date line is the one whole hour that no place has.
  const names = [...Intl.supportedValuesOf('timeZone'), 'Etc/GMT+12'];
  const known = [...new Set(names.flatMap((name) => canonicalZone(name) ?? []))];
  const now = new Date();
  const schedule: Schedule = {
    kind: 'localHour',
    date: new Date(now.getTime() + 5 * 86_400_000).toISOString().slice(0, 10),
    time: '09:00',
    unknownZone: 'utc',
    hourPast: 'nextDay',
  };
  const plan = planWaves({
    spec: schedule,
    groups: known.map((zone) => ({ zone, customers: 1 })),
    tenantZone: 'UTC',
    now,
  });
  if (plan.waves.length !== waveCount) {
    throw new Error(`The zones of Intl make ${plan.waves.length} waves, not ${waveCount}`);
  }
  return { zones: plan.waves.flatMap((wave) => wave.zones[0] ?? []), schedule };
}

/** Writes the tenant and, in one statement, its customers. */
export async function createTenant(db: Knex, customers: number): Promise<BenchTenant> {
  const { zones, schedule } = findZones();
  const tenantId = await insertTenant(db, 'UTC', 'The Corner Shop');
  // Zones alternate from row to row, as they do in a list that grew over years.
  await db.raw(
    `insert into customers (id, tenant_id, external_id, email, first_name, last_name, language,
       time_zone, tags, attributes, email_consent)
     select uuidv7(), :tenantId, 'shop-' || i, 'customer.' || i || '@mail.example.com',
            case when i % 20 = 0 then null
                 else (cast(:firstNames as text[]))[1 + i % 10] end,
            (cast(:lastNames as text[]))[1 + i % 7], 'en',
            (cast(:zones as text[]))[1 + i % cardinality(cast(:zones as text[]))],
            array['newsletter'],
            jsonb_build_object('city', (cast(:cities as text[]))[1 + i % 6],
              'tier', (cast(:tiers as text[]))[1 + i % 3], 'points', i % 5000,
              'lastOrder', '2025-' || lpad((1 + i % 12)::text, 2, '0') || '-15'),
            'granted'
       from generate_series(1, :customers) as i`,
    {
      tenantId,
      customers,
      zones,
      firstNames: 'Ana,Bela,Chloé,Dmitri,Elif,Farah,Grace,Hiro,Ines,João'.split(','),
      lastNames: 'Abad,Brown,Castillo,Dubois,Eriksen,Fischer,García'.split(','),
      cities: 'Lisbon,Lyon,Leeds,Ljubljana,Lagos,Lima'.split(','),
      tiers: 'bronze,silver,gold'.split(','),
    },
  );
  await db.raw('vacuum (analyze) customers');
  return { tenantId, customers, schedule };
}
