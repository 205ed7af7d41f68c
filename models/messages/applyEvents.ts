import type { Knex } from 'knex';
import type { EventKind } from '../../domain/messages/events';
import { classBursts, countEngagements } from '../tracking/engagements';
import { setApart, setAsideStored } from './setAside';

export interface AppliedEvents {
  applied: number;
  /** What was taken and known, by the events' ids. */
  eventIds: number[];
  /** How many were set aside, by reason. */
  setAside: Record<string, number>;
  /** Whether more may wait already. */
  isMoreLikely: boolean;
  /** Runs in which a doubt was settled, so that their workflows look again. */
  doubtsSettled: SettledRun[];
}

interface SettledRun {
  tenantId: string;
  campaignId: string;
  runN: number;
}

/**
 * Turns the events that wait longest into facts on the ledger, about `limit` of them, in one
 * transaction: facts only ever become earlier, counts come from what changed, and any event of a
 * call proves it was accepted. Applying in another order or twice gives the same ledger. An event
 * that names what is not there, or that the database refuses, is set aside with its reason.
 */
export async function applyEvents(trx: Knex.Transaction, limit: number): Promise<AppliedEvents> {
  const taken = await takeWaiting(trx, limit);
  if (taken.ids.length === 0) {
    const { isMoreLikely } = taken;
    return { applied: 0, eventIds: [], setAside: {}, isMoreLikely, doubtsSettled: [] };
  }
  const unknown = await lockDispatches(trx, taken.ids);
  const setAside: Record<string, number> = {};
  const note = (reason: string) => {
    setAside[reason] = (setAside[reason] ?? 0) + 1;
  };
  unknown.forEach((reason) => note(reason));
  const known = taken.ids.filter((id) => !unknown.has(id));
  let applied = known.length;
  const settled = new Map<string, SettledRun>();
  await setApart(trx, known, {
    work: async (within, ids) => {
      await classBursts(within, ids);
      await applyFacts(within, ids);
      await countEngagements(within, ids);
      const runs = await proveCalls(within, ids);
      await writeSuppressions(within, ids);
      for (const run of runs) {
        settled.set(`${run.campaignId}/${run.runN}`, run);
      }
    },
    refuse: async (within, id, reason) => {
      await setAsideStored(within, [id], reason);
      applied -= 1;
      note(reason);
    },
  });
  return {
    applied,
    eventIds: known,
    setAside,
    isMoreLikely: taken.isMoreLikely,
    doubtsSettled: [...settled.values()],
  };
}

// How many lists a batch looks at: those it leaves are free again when it has ended.
const mostLists = 256;

/** Takes whole lists, the oldest first, skipping what others hold; gone if the rest is committed. */
async function takeWaiting(
  trx: Knex.Transaction,
  limit: number,
): Promise<{ ids: number[]; isMoreLikely: boolean }> {
  const found = await trx.raw(
    `with free as (
       select id, event_count from waiting_events order by id limit :mostLists
          for update skip locked
     ), taken as (
       select id from (select id, sum(event_count) over (order by id) - event_count as ahead
                         from free) f
        where ahead < :limit
     )
     delete from waiting_events w using taken where w.id = taken.id
     returning w.event_ids as "eventIds", (select count(*) from free) as free`,
    { limit, mostLists },
  );
  const lists: { eventIds: (string | number)[]; free: number }[] = found.rows;
  const free = lists[0]?.free ?? 0;
  return {
    ids: lists.flatMap(({ eventIds }) => eventIds.map(Number)),
    isMoreLikely: free > lists.length || free === mostLists,
  };
}

/**
 * Locks, in one order, every dispatch that these events may change: their calls, and where their
 * messages are now. All that writes messages or attempts holds the lock of their dispatch first, so
 * no two writers of the ledger wait for each other. Sets aside what names a run, a message or a call
 * that is not there, and answers why.
 */
async function lockDispatches(trx: Knex.Transaction, ids: number[]): Promise<Map<number, string>> {
  const unknown = await trx.raw(
    `with told as materialized (
       select e.id, e.run_id, e.tenant_id, e.dispatch_n, e.message_n, m.dispatch_n as now_n
         from message_events e
         left join messages m on m.run_id = e.run_id and m.n = e.message_n
        where e.id = any(cast(:ids as bigint[])) and e.run_id is not null
     ), locked as materialized (
       select d.run_id, d.n from dispatches d
        where (d.run_id, d.n) in (select run_id, dispatch_n from told
                                  union select run_id, now_n from told)
        order by d.run_id, d.n for no key update of d
     ), missing as materialized (
       -- Hardly ever any: looked for call by call, not event by event.
       select run_id, dispatch_n from told where dispatch_n is not null
       except select run_id, n from locked
     ), judged as (
       select told.id, case when told.tenant_id is null then 'unknownRun'
                            when told.message_n is not null and told.now_n is null
                              then 'unknownMessage'
                            when missing.dispatch_n is not null then 'unknownDispatch' end as reason
         from told left join missing
           on missing.run_id = told.run_id and missing.dispatch_n = told.dispatch_n
     )
     update message_events e set set_aside = j.reason
       from judged j
      -- Asked before all else: Postgres locks as far as somebody reads, which is not at all where no
      -- event names a call.
      where (select count(*) from locked) >= 0
        and e.id = j.id and j.reason is not null
        -- Tests have an id like a run's, and neither messages nor calls.
        and not exists (select 1 from test_sends t where t.id = e.run_id)
     returning e.id, e.set_aside as reason`,
    { ids },
  );
  const rows: { id: number; reason: string }[] = unknown.rows;
  return new Map(rows.map(({ id, reason }) => [id, reason]));
}

const factOfKind: Partial<Record<EventKind, string>> = {
  delivered: 'delivered_at',
  bounced: 'bounced_at',
  dropped: 'bounced_at',
  complained: 'complained_at',
  opened: 'first_opened_at',
  clicked: 'first_clicked_at',
  unsubscribed: 'unsubscribed_at',
};

const facts = [
  ['delivered_at', 'delivered_count'],
  ['bounced_at', 'bounced_count'],
  ['complained_at', 'complained_count'],
  ['first_opened_at', 'opened_count'],
  ['first_clicked_at', 'clicked_count'],
  ['unsubscribed_at', 'unsubscribed_count'],
] as const;

const factKinds = Object.keys(factOfKind)
  .map((kind) => `'${kind}'`)
  .join(', ');

async function applyFacts(trx: Knex.Transaction, ids: number[]): Promise<void> {
  // One row a message first: an update with two source rows for one target applies only one.
  const earliest = facts.map(([fact]) => {
    const kinds = Object.entries(factOfKind)
      .filter(([, column]) => column === fact)
      .map(([kind]) => `'${kind}'`);
    return `min(occurred_at) filter (where kind in (${kinds.join(', ')})) as ${fact}`;
  });
  await trx.raw(
    `with told as (
       select run_id, message_n, ${earliest.join(',\n')}
         from message_events
        where id = any(cast(? as bigint[])) and run_id is not null and message_n is not null
          and kind in (${factKinds}) and not coalesce((payload->>'machine')::boolean, false)
        group by run_id, message_n
     ), before as materialized (
       select m.run_id, m.n, ${facts.map(([fact]) => `m.${fact} as ${fact}_before, f.${fact}`).join(', ')}
         from told f join messages m on m.run_id = f.run_id and m.n = f.message_n
        where ${facts.map(([fact]) => `f.${fact} < coalesce(m.${fact}, 'infinity')`).join(' or ')}
        order by m.run_id, m.n
     ), changed as (
       update messages m
          set ${facts.map(([fact]) => `${fact} = least(m.${fact}, b.${fact})`).join(', ')}
         from before b
        where m.run_id = b.run_id and m.n = b.n
       returning m.run_id, m.dispatch_n,
         ${facts.map(([fact, count]) => `(b.${fact}_before is null and m.${fact} is not null)::int as ${count}`).join(', ')}
     ), counts as (
       select run_id, dispatch_n, ${facts.map(([, count]) => `sum(${count}) as ${count}`).join(', ')}
         from changed group by run_id, dispatch_n
     )
     update dispatches d
        set ${facts.map(([, count]) => `${count} = d.${count} + c.${count}`).join(', ')}
       from counts c
      where d.run_id = c.run_id and d.n = c.dispatch_n
        and ${facts.map(([, count]) => `c.${count}`).join(' + ')} > 0`,
    [ids],
  );
}

async function proveCalls(trx: Knex.Transaction, ids: number[]): Promise<SettledRun[]> {
  const proven = await trx.raw(
    `with given as materialized (
       -- First and alone: Postgres takes the walls of dispatches to leave hardly any of them, and would
       -- go through all events of the run for each.
       select run_id, dispatch_n, attempt, message_n from message_events
        where id = any(cast(:ids as bigint[])) and source <> 'carillon' and attempt is not null
     ), told as (
       -- Where each message is a call, an event proves its own alone; null where it proves the dispatch.
       select distinct e.run_id, e.dispatch_n, e.attempt,
              case when d.intent_upto is not null then e.message_n end as message_n
         from given e join dispatches d on d.run_id = e.run_id and d.n = e.dispatch_n
     ), calls as materialized (
       select run_id, dispatch_n, attempt from told where message_n is null
       union
       -- What may be in doubt alone is a dispatch of one message by now.
       select d.run_id, d.n, told.attempt
         from told join messages m on m.run_id = told.run_id and m.n = told.message_n
         join dispatches d on d.run_id = m.run_id and d.n = m.dispatch_n
        where d.message_count = 1
     ), noted as (
       update dispatch_attempts a
          set outcome = 'accepted', proven_by = 'event', settled_at = clock_timestamp()
         from calls c
        where a.run_id = c.run_id and a.dispatch_n = c.dispatch_n and a.attempt = c.attempt
          and (a.outcome is distinct from 'accepted' or a.proven_by = 'policy')
     ), doubtful as (
       -- Proof of an earlier attempt settles a dispatch that waits for another one just as well; only
       -- a call that is under way is left to its own outcome.
       select distinct d.run_id, d.n
         from calls c join dispatches d on d.run_id = c.run_id and d.n = c.dispatch_n
        where (c.attempt = d.attempt or (c.attempt < d.attempt and d.state <> 'calling'))
          and d.state in ('calling', 'in_doubt', 'unconfirmed', 'planned', 'claimed', 'cancelled',
            'expired')
          and d.reason is distinct from 'everyoneLeftOut'
     ), settled as (
       update dispatches d
          set state = 'accepted', settled_at = clock_timestamp(), reason = null,
              doubt_until = null, lease_until = null, not_before = null, wait_reason = null
         from doubtful
        where d.run_id = doubtful.run_id and d.n = doubtful.n
       returning d.run_id
     )
     select distinct r.tenant_id as "tenantId", r.campaign_id as "campaignId", r.n as "runN"
       from settled join campaign_runs r on r.id = settled.run_id and r.kind = 'campaign'`,
    { ids },
  );
  return proven.rows;
}

async function writeSuppressions(trx: Knex.Transaction, ids: number[]): Promise<void> {
  // An event without our arguments speaks of the address alone: the account's tenant stops, and where
  // the account serves all of them, every one that has the address. It is looked for tenant by tenant,
  // as the customers' indexes are.
  await trx.raw(
    `with told as materialized (
       select id, tenant_id, run_id, coalesce(payload->'suppress'->>'channel', 'email') as channel,
              lower(payload->'suppress'->>'address') as address,
              payload->'suppress'->>'reason' as reason
         from message_events
        where id = any(cast(? as bigint[])) and payload->'suppress'->>'address' is not null
     ), wished as (
       select id, tenant_id, run_id, channel, address, reason
         from told where run_id is not null or tenant_id is not null
       union all
       select told.id, t.id, null, channel, address, reason
         from told cross join lateral tenants_of_email(told.address) as t (id)
        where told.run_id is null and told.tenant_id is null and told.channel = 'email'
       union all
       select told.id, t.id, null, channel, address, reason
         from told, tenants t
        where told.run_id is null and told.tenant_id is null and told.channel <> 'email'
          and exists (select 1 from customers c
                       where c.tenant_id = t.id and c.phone = told.address)
     )
     insert into suppressions (tenant_id, channel, address, reason, run_id)
     select distinct on (tenant_id, channel, address) tenant_id, channel, address, reason, run_id
       from wished
      where tenant_id is not null
      order by tenant_id, channel, address, id
     on conflict (tenant_id, channel, address) do nothing`,
    [ids],
  );
}
