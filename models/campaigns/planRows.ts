import type { Knex } from 'knex';
import type { PlannedWave } from '../../domain/campaigns/waves';
import { audienceBindings, inAudience, leftOutReason, suppressionOf } from './audience';
import type { CampaignRun } from './runs';

/** Writes waves of a plan; none is no error. */
export async function insertWaves(
  trx: Knex.Transaction,
  run: CampaignRun,
  planVersion: number,
  waves: PlannedWave[],
  kind: 'planned' | 'late' | 'again',
): Promise<void> {
  if (waves.length === 0) {
    return;
  }
  await trx('waves').insert(
    waves.map((wave) => ({
      run_id: run.id,
      plan_version: planVersion,
      n: wave.n,
      tenant_id: run.tenantId,
      kind,
      starts_at: wave.startsAt,
      closes_at: wave.closesAt,
      waits_for: wave.waitsFor ?? null,
      time_zones: wave.zones,
      planned_count: wave.customers,
    })),
  );
}

/** Writes a message for everyone of the audience in the zone, in full dispatches; answers how many. */
export async function insertMessages(
  trx: Knex.Transaction,
  run: CampaignRun,
  range: { zone: string | null; dispatchN: number; messageN: number; perDispatch: number },
): Promise<number> {
  const inserted = await trx.raw(
    `with inserted as (
       insert into messages (run_id, n, tenant_id, dispatch_n, customer_id, channel)
       select :runId, :messageN + position, :tenantId,
              :dispatchN + position / :perDispatch, customer_id, :channel
         from (
           select c.id as customer_id, (row_number() over (order by c.id) - 1)::int as position
             from customers c ${suppressionOf(run.channel)}
            where c.tenant_id = :tenantId and c.time_zone is not distinct from :zone
              and ${inAudience()} and (${leftOutReason(run.channel)}) is null
         ) audience
       returning 1
     )
     select count(*) as messages from inserted`,
    {
      ...audienceBindings(run.tenantId, run.channel, run.audience),
      runId: run.id,
      ...range,
    },
  );
  return inserted.rows[0].messages;
}

/** Writes the dispatches of a zone's messages; answers how many. */
export async function insertDispatches(
  trx: Knex.Transaction,
  run: CampaignRun,
  range: {
    zone: string | null;
    waveN: number;
    dispatchN: number;
    messageN: number;
    messages: number;
    perDispatch: number;
  },
): Promise<number> {
  const size = range.perDispatch;
  const dispatches = Math.ceil(range.messages / size);
  await trx.raw(
    `insert into dispatches (run_id, n, tenant_id, time_zone, plan_version, wave_n,
       first_message_n, last_message_n, message_count)
     select :runId, :dispatchN + i, :tenantId, :zone, :planVersion, :waveN,
            :messageN + i * :size,
            :messageN + least((i + 1) * :size, :messages) - 1,
            least((i + 1) * :size, :messages) - i * :size
       from generate_series(0, :dispatches - 1) as i`,
    {
      runId: run.id,
      dispatchN: range.dispatchN,
      tenantId: run.tenantId,
      zone: range.zone ?? '',
      planVersion: run.planVersion,
      waveN: range.waveN,
      messageN: range.messageN,
      size,
      messages: range.messages,
      dispatches,
    },
  );
  return dispatches;
}
