import { prepareOnce, type Knex } from '../../lib/db';
import { forTenantInOneTrip, withTenantByKey } from '../base';
import { abandonLane } from './laneEnds';
import type { Call } from './settle';

/** Which slice activity holds a dispatch: unique over workflow run, activity and attempt. */
export interface Slice {
  workflowRunId: string;
  activityId: string;
  attempt: number;
}

export interface WaveKey {
  tenantId: string;
  runId: string;
  planVersion: number;
  waveN: number;
}

/** A claimed dispatch. `claimN` is its fencing token: only this claim may pass the gate with it. */
export interface ClaimedDispatch {
  n: number;
  claimN: number;
  attempt: number;
  /** Where its customers were when it was planned. */
  timeZone: string;
  firstMessageN: number;
  lastMessageN: number;
  messageCount: number;
  closesAt: Date;
}

export type Claim =
  /** `waveN` is its wave: the slice's own, or another of the run where nothing of that is planned. */
  | { kind: 'claimed'; dispatch: ClaimedDispatch; waveN: number }
  /** Everything planned has to wait; `reason` says for what. */
  | { kind: 'notDueUntil'; until: Date; reason: string }
  /** Others hold what is open; a dead holder's lease is over at `until`. */
  | { kind: 'busy'; until: Date }
  | { kind: 'paused' }
  | { kind: 'closed' }
  /** Nothing of the wave is open: planned, claimed or calling. */
  | { kind: 'none' };

/**
 * Takes the next planned dispatch of a wave, skipping what others hold. Where nothing of it is planned,
 * takes one of another wave of the run whose window is open, from its end: a process whose waves are
 * through helps with those whose lanes stand in line elsewhere. What is planned and cannot be claimed
 * is waited for: its instant and its turn are kept, and what is left when its window ends is told at
 * once. Or says why its own wave has none. The lease runs by the database's clock.
 */
export async function claimDispatch(
  db: Knex,
  wave: WaveKey,
  slice: Slice,
  leaseMs: number,
): Promise<Claim> {
  const claim = claiming({
    runId: wave.runId,
    planVersion: wave.planVersion,
    waveN: wave.waveN,
    workflowRunId: slice.workflowRunId,
    activityId: slice.activityId,
    sliceAttempt: slice.attempt,
    leaseMs,
  });
  const [claimed] = await forTenantInOneTrip(db, wave.tenantId, [{ raw: claim }]);
  const found: (ClaimedDispatch & { waveN: number }) | undefined = claimed?.[0];
  if (found === undefined) {
    return whyNone(db, wave);
  }
  const { waveN, ...dispatch } = found;
  return { kind: 'claimed', dispatch, waveN };
}

// Which waves have their hour, and which of their dispatches wait for nothing.
const isOpenWave = `w.run_id = :runId and w.plan_version = :planVersion
  and clock_timestamp() >= w.starts_at and clock_timestamp() < w.closes_at
  and exists (select 1 from campaign_runs r
               where r.id = :runId and r.gate = 'open' and r.plan_version = :planVersion)`;
const isNext = `d.run_id = :runId and d.plan_version = :planVersion and d.state = 'planned'
  and (d.not_before is null or d.not_before <= clock_timestamp())`;

const claiming = prepareOnce(
  'claimDispatch',
  `with own as (
     select d.n, w.closes_at
       from waves w join dispatches d on d.run_id = w.run_id and d.plan_version = w.plan_version
        and d.wave_n = w.n
      where ${isOpenWave} and w.n = :waveN and ${isNext} and d.wave_n = :waveN
      order by d.n limit 1 for update of d skip locked
   ), other as (
     select next.n, w.closes_at
       from waves w cross join lateral (
         select d.n from dispatches d
          where ${isNext} and d.wave_n = w.n
          order by d.n desc limit 1 for update skip locked) next
      where ${isOpenWave} and w.n <> :waveN and not exists (
        select 1 from dispatches d
         where d.run_id = :runId and d.plan_version = :planVersion and d.wave_n = :waveN
           and d.state = 'planned')
      limit 1
   ), next as (
     select n, closes_at from own union all select n, closes_at from other
   )
   update dispatches d
      set state = 'claimed', claim_n = d.claim_n + 1, slice_workflow_run_id = :workflowRunId,
          slice_activity_id = :activityId, slice_attempt = :sliceAttempt,
          lease_until = clock_timestamp() + :leaseMs * interval '1 millisecond',
          not_before = null, wait_reason = null
    -- Asked like this, Postgres looks the row up. Joined, it walks through all of the run's.
    where d.run_id = :runId and d.n = (select n from next)
   returning d.n, d.wave_n as "waveN", d.claim_n as "claimN", d.attempt, d.time_zone as "timeZone",
     d.first_message_n as "firstMessageN", d.last_message_n as "lastMessageN",
     d.message_count as "messageCount", (select closes_at from next) as "closesAt"`,
);

/**
 * Before a later attempt of a slice starts: what its earlier attempts left claimed is planned again,
 * what they left calling is in doubt. Running it twice changes nothing.
 */
export async function releaseEarlierAttempts(
  trx: Knex.Transaction,
  wave: WaveKey,
  slice: Slice,
): Promise<void> {
  await releaseWhere(
    trx,
    // Of whichever wave: it may have helped with others.
    `d.run_id = :runId and d.slice_workflow_run_id = :workflowRunId
       and d.slice_activity_id = :activityId and d.slice_attempt < :sliceAttempt`,
    {
      runId: wave.runId,
      workflowRunId: slice.workflowRunId,
      activityId: slice.activityId,
      sliceAttempt: slice.attempt,
    },
  );
}

/** The same for every lease that ran out, in one wave or in all runs. */
export async function releaseExpiredLeases(
  trx: Knex.Transaction,
  wave: WaveKey | null,
): Promise<{ released: number; doubted: number }> {
  return wave === null
    ? releaseWhere(trx, 'd.lease_until < clock_timestamp()', {})
    : releaseWhere(
        trx,
        `d.run_id = :runId and d.plan_version = :planVersion and d.wave_n = :waveN
           and d.lease_until < clock_timestamp()`,
        { runId: wave.runId, planVersion: wave.planVersion, waveN: wave.waveN },
      );
}

/** Frees claims and doubts calls that nobody will end any more, and says how many. */
export async function releaseWhere(
  trx: Knex.Transaction,
  condition: string,
  bindings: Record<string, string | number>,
): Promise<{ released: number; doubted: number }> {
  const abandoned = await abandonLanes(trx, condition, bindings);
  // `not_before` keeps what a refusal for now has asked for; a closed gate turns planned into
  // cancelled because no slice will come for it any more.
  const changed = await trx.raw(
    `with left_behind as (
       select d.run_id, d.n from dispatches d
        where d.state in ('claimed', 'calling') and not (${isLane}) and ${condition}
        order by d.run_id, d.n for update of d skip locked
     ), doubted_attempts as (
       update dispatch_attempts a set outcome = 'in_doubt', reason = 'processGone'
         from left_behind l join dispatches d on d.run_id = l.run_id and d.n = l.n
        where d.state = 'calling' and a.run_id = d.run_id and a.dispatch_n = d.n
          and a.attempt = d.attempt and a.outcome is null
     )
     update dispatches d
        set state = case when d.state = 'calling' then 'in_doubt'
                         when r.gate = 'closed' then 'cancelled' else 'planned' end,
            reason = case when d.state = 'calling' then 'processGone' else d.reason end,
            doubt_until = case when d.state = 'calling'
              then clock_timestamp() + r.doubt_deadline_ms * interval '1 millisecond' end,
            settled_at = case when d.state = 'claimed' and r.gate = 'closed'
              then clock_timestamp() end,
            lease_until = null
       from left_behind l, campaign_runs r
      where d.run_id = l.run_id and d.n = l.n and r.id = d.run_id
     returning d.state`,
    bindings,
  );
  const rows: { state: string }[] = changed.rows;
  const doubted = rows.filter((row) => row.state === 'in_doubt').length;
  return { released: rows.length - doubted, doubted: doubted + abandoned };
}

/**
 * SQL: a dispatch whose messages are calls of their own, some of which may be settled. One message
 * that is not is a call as any other.
 */
const isLane = `d.state = 'calling' and d.intent_upto is not null
  and (d.message_count <> 1 or d.settled_upto >= d.first_message_n)`;

// Where each message is a call, only what was under way is in doubt.
async function abandonLanes(
  trx: Knex.Transaction,
  condition: string,
  bindings: Record<string, string | number>,
): Promise<number> {
  const found = await trx.raw(
    `select d.tenant_id as "tenantId", d.run_id as "runId", d.n as "dispatchN", d.attempt,
            d.settled_upto as "settledUpto", d.intent_upto as "intentUpto"
       from dispatches d
      where ${isLane} and ${condition}
      order by d.run_id, d.n for update of d skip locked`,
    bindings,
  );
  const lanes: (Call & { settledUpto: number; intentUpto: number })[] = found.rows;
  let doubted = 0;
  // As many as one process had in hand.
  for (const lane of lanes) {
    doubted += await abandonLane(trx, lane, lane);
  }
  return doubted;
}

/** Gives a claim back before its call. `notBefore` delays the next one and is shown with `reason`. */
export async function unclaimDispatch(
  trx: Knex.Transaction,
  tenantId: string,
  runId: string,
  claim: { n: number; claimN: number },
  wait: { notBefore: Date; reason: string } | null,
): Promise<void> {
  await trx.raw(
    `update dispatches d
        set state = case when r.gate = 'closed' then 'cancelled' else 'planned' end,
            settled_at = case when r.gate = 'closed' then clock_timestamp() end,
            not_before = :notBefore, wait_reason = :reason, lease_until = null
       from campaign_runs r
      where r.id = d.run_id and d.tenant_id = :tenantId and d.run_id = :runId and d.n = :n
        and d.state = 'claimed' and d.claim_n = :claimN`,
    {
      notBefore: wait?.notBefore ?? null,
      reason: wait?.reason ?? null,
      tenantId,
      runId,
      n: claim.n,
      claimN: claim.claimN,
    },
  );
}

/**
 * Why a wave has nothing to claim. Every lane asks this when it ends. Where a holder died, what it left
 * is freed or doubted first.
 */
export async function whyNone(db: Knex, wave: WaveKey): Promise<Claim> {
  let state = await lookAtWave(db, wave);
  if (state?.hasExpired === true) {
    await withTenantByKey(db, wave.tenantId, (trx) => releaseExpiredLeases(trx, wave));
    state = await lookAtWave(db, wave);
  }
  if (state === undefined || state.open === 0) {
    return { kind: 'none' };
  }
  if (state.gate === 'closed' || state.planVersion !== wave.planVersion) {
    return { kind: 'closed' };
  }
  if (state.late) {
    // What is left is planned anew: all of it, so nothing may come back from a lane afterwards.
    return state.held === 0
      ? { kind: 'closed' }
      : { kind: 'busy', until: state.leaseUntil ?? new Date(0) };
  }
  if (state.gate === 'paused') {
    return { kind: 'paused' };
  }
  if (state.early) {
    return { kind: 'notDueUntil', until: state.startsAt, reason: 'beforeStart' };
  }
  if (state.planned > 0 && state.notBefore !== null) {
    return {
      kind: 'notDueUntil',
      until: state.notBefore,
      reason: state.waitReason ?? 'retry',
    };
  }
  return { kind: 'busy', until: state.leaseUntil ?? new Date(0) };
}

async function lookAtWave(db: Knex, wave: WaveKey): Promise<WaveState | undefined> {
  const raw = db
    .raw(
      `select r.gate, r.plan_version as "planVersion", w.starts_at as "startsAt",
              clock_timestamp() < w.starts_at as early, clock_timestamp() >= w.closes_at as late,
              count(d.n) filter (where d.state = 'planned') as planned,
              count(d.n) as open,
              count(d.n) filter (where d.state <> 'planned') as held,
              min(d.not_before) filter (where d.state = 'planned') as "notBefore",
              (array_agg(d.wait_reason order by d.not_before)
                filter (where d.state = 'planned'))[1] as "waitReason",
              min(d.lease_until) as "leaseUntil",
              coalesce(bool_or(d.lease_until < clock_timestamp()), false) as "hasExpired"
         from waves w
         join campaign_runs r on r.id = w.run_id
         left join dispatches d on d.run_id = w.run_id and d.plan_version = w.plan_version
          and d.wave_n = w.n and d.state in ('planned', 'claimed', 'calling')
        where w.tenant_id = :tenantId and w.run_id = :runId and w.plan_version = :planVersion
          and w.n = :waveN
        group by r.id, w.run_id, w.plan_version, w.n`,
      {
        tenantId: wave.tenantId,
        runId: wave.runId,
        planVersion: wave.planVersion,
        waveN: wave.waveN,
      },
    )
    .options({ name: 'lookAtWave' });
  const [rows] = await forTenantInOneTrip(db, wave.tenantId, [{ raw }]);
  return rows?.[0];
}

interface WaveState {
  gate: string;
  planVersion: number;
  startsAt: Date;
  early: boolean;
  late: boolean;
  planned: number;
  open: number;
  /** Claimed or calling. */
  held: number;
  notBefore: Date | null;
  waitReason: string | null;
  leaseUntil: Date | null;
  /** Somebody's claim or call outlived its lease. */
  hasExpired: boolean;
}
