import type { Knex } from 'knex';

/** Openings or clicks: `all` is the sum of the three classes. */
export interface EngagementCounts {
  all: number;
  human: number;
  machine: number;
  bot: number;
  /** Messages a person opened or clicked in, not times. */
  unique: number;
}

export interface Engagements {
  opens: EngagementCounts;
  clicks: EngagementCounts;
}

/** What recipients and programs did with the messages of a run, in all and for each of its waves. */
export async function countRunEngagements(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<{ run: Engagements; ofWave(wave: { planVersion: number; n: number }): Engagements }> {
  const counted = await trx.raw(
    `select d.plan_version as "planVersion", d.wave_n as n, grouping(d.wave_n) = 1 as "isRun",
            ${sums('opens', 'opened_count')}, ${sums('clicks', 'clicked_count')}
       from dispatches d
      where d.tenant_id = ? and d.run_id = ? and d.state <> 'split'
      group by grouping sets ((), (d.plan_version, d.wave_n))`,
    [tenantId, runId],
  );
  const rows: Row[] = counted.rows;
  const waves = new Map(rows.map((row) => [`${row.planVersion}-${row.n}`, row]));
  return {
    run: engagementsOf(rows.find(({ isRun }) => isRun)),
    ofWave: ({ planVersion, n }) => engagementsOf(waves.get(`${planVersion}-${n}`)),
  };
}

interface Row extends Engagements {
  planVersion: number | null;
  n: number | null;
  isRun: boolean;
}

const none: EngagementCounts = { all: 0, human: 0, machine: 0, bot: 0, unique: 0 };

function engagementsOf(row: Row | undefined): Engagements {
  return { opens: row?.opens ?? none, clicks: row?.clicks ?? none };
}

function sums(name: 'opens' | 'clicks', uniqueColumn: string): string {
  const [human, machine, bot] = ['human', 'machine', 'bot'].map(
    (by) => `coalesce(sum(d.${by}_${name}_count), 0)`,
  );
  return `jsonb_build_object('all', ${human} + ${machine} + ${bot}, 'human', ${human},
    'machine', ${machine}, 'bot', ${bot},
    'unique', coalesce(sum(d.${uniqueColumn}), 0)) as ${name}`;
}
