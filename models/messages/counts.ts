import type { Knex } from 'knex';
import type { WaveWait } from '../../domain/campaigns/waves';

/** How a run stands, summed over its dispatches; every number counts messages. */
export interface RunCounts {
  planned: number;
  accepted: number;
  refused: number;
  inDoubt: number;
  unconfirmed: number;
  cancelled: number;
  expired: number;
  /** Not sent yet: planned, claimed or calling. */
  open: number;
  leftOut: number;
  delivered: number;
  bounced: number;
  complained: number;
  opened: number;
  clicked: number;
  unsubscribed: number;
}

/** Of a dispatch `d`, in SQL: a message follows it unless it was left out or refused on its own. */
export const following = 'd.message_count - d.left_out_count - d.refused_count';

// What was split has its messages in others; what happened to them before was counted where they were.
const counts = `d.state <> 'split'`;

const sums = `
  coalesce(sum(d.message_count) filter (where ${counts}), 0) as planned,
  coalesce(sum(${following}) filter (where d.state = 'accepted'), 0) as accepted,
  coalesce(sum(d.refused_count) filter (where ${counts}), 0)
    + coalesce(sum(${following}) filter (where d.state = 'refused'), 0) as refused,
  coalesce(sum(${following}) filter (where d.state = 'in_doubt'), 0) as "inDoubt",
  coalesce(sum(${following}) filter (where d.state = 'unconfirmed'), 0) as unconfirmed,
  coalesce(sum(${following}) filter (where d.state = 'cancelled'), 0) as cancelled,
  coalesce(sum(${following}) filter (where d.state = 'expired'), 0) as expired,
  coalesce(sum(${following}) filter (where d.state in ('planned', 'claimed', 'calling')), 0) as open,
  coalesce(sum(d.left_out_count) filter (where ${counts}), 0) as "leftOut",
  coalesce(sum(d.delivered_count), 0) as delivered,
  coalesce(sum(d.bounced_count), 0) as bounced,
  coalesce(sum(d.complained_count), 0) as complained,
  coalesce(sum(d.opened_count), 0) as opened,
  coalesce(sum(d.clicked_count), 0) as clicked,
  coalesce(sum(d.unsubscribed_count), 0) as unsubscribed`;

/** The counts of one run. planned = accepted + refused + inDoubt + unconfirmed + cancelled + expired + open + leftOut. */
export async function countRun(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<RunCounts> {
  const counted = await trx.raw(
    `select ${sums} from dispatches d
      where d.tenant_id = ? and d.run_id = ?`,
    [tenantId, runId],
  );
  return counted.rows[0];
}

/** A wave with its counts and what it waits for. */
export interface WaveCounts extends RunCounts {
  planVersion: number;
  n: number;
  kind: 'planned' | 'late' | 'again';
  startsAt: Date;
  closesAt: Date;
  /** What puts its instant off. */
  waitsFor: WaveWait | null;
  timeZones: string[];
  dispatches: number;
  /** When the first of the calls that wait may leave; while others go on, caps keep none waiting. */
  waitsUntil: Date | null;
  waitReason: string | null;
  /** Messages that a cap keeps back, and when the first of them may leave. */
  heldBack: number;
  heldBackUntil: Date | null;
}

const isCapped = `coalesce(d.wait_reason, '') = 'frequencyCap'`;

/** The counts of each wave of a run that holds dispatches, oldest plan first. */
export async function countWaves(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<WaveCounts[]> {
  const counted = await trx.raw(
    `select w.plan_version as "planVersion", w.n, w.kind, w.starts_at as "startsAt",
            w.closes_at as "closesAt", w.waits_for as "waitsFor", w.time_zones as "timeZones",
            count(d.n) filter (where ${counts}) as dispatches,
            coalesce(
              min(d.not_before) filter (where d.state = 'planned' and not ${isCapped}),
              case when bool_and(${isCapped}) filter
                     (where d.state in ('planned', 'claimed', 'calling'))
                then min(d.not_before) end) as "waitsUntil",
            coalesce(
              (array_agg(d.wait_reason order by d.not_before)
                filter (where d.state = 'planned' and d.not_before is not null and not ${isCapped}))[1],
              case when bool_and(${isCapped}) filter
                     (where d.state in ('planned', 'claimed', 'calling'))
                then 'frequencyCap' end) as "waitReason",
            coalesce(sum(d.message_count) filter (where d.state = 'planned' and ${isCapped}), 0)
              as "heldBack",
            min(d.not_before) filter (where d.state = 'planned' and ${isCapped}) as "heldBackUntil",
            ${sums}
       from waves w
       join dispatches d on d.run_id = w.run_id and d.plan_version = w.plan_version
        and d.wave_n = w.n
      where w.tenant_id = ? and w.run_id = ?
      group by w.run_id, w.plan_version, w.n
      order by w.plan_version, w.starts_at, w.n`,
    [tenantId, runId],
  );
  return counted.rows;
}

/** Messages that were left out at their call, by reason. */
export async function countLeftOut(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
): Promise<Record<string, number>> {
  const counted = await trx.raw(
    `select reason, count(*) as messages from messages
      where tenant_id = ? and run_id = ? and outcome = 'left_out' group by reason`,
    [tenantId, runId],
  );
  const rows: { reason: string; messages: number }[] = counted.rows;
  return Object.fromEntries(rows.map((row) => [row.reason, row.messages]));
}
