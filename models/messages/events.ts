import type { Knex } from 'knex';
import type { EventKind, MessageEvent } from '../../domain/messages/events';

/**
 * Stores events once each, in the order given; what is known already vanishes. Answers how many were
 * new. Callers give one order everywhere, so that two deliveries of the same events do not lock up.
 */
export async function storeEvents(trx: Knex.Transaction, events: MessageEvent[]): Promise<number> {
  if (events.length === 0) {
    return 0;
  }
  const stored = await trx.raw(
    `insert into message_events (provider_event_id, source, run_id, tenant_id, dispatch_n, attempt,
       message_n, kind, occurred_at, payload)
     select e.provider_event_id, e.source, e.run_id, coalesce(r.tenant_id, t.tenant_id), e.dispatch_n, e.attempt,
            e.message_n, e.kind, e.occurred_at, e.payload
       from jsonb_to_recordset(cast(? as jsonb)) as e (
         position int, provider_event_id text, source text, run_id uuid, dispatch_n int, attempt int,
         message_n int, kind text, occurred_at timestamptz, payload jsonb)
       left join campaign_runs r on r.id = e.run_id
       left join test_sends t on t.id = e.run_id
      order by e.position
     on conflict (run_id, provider_event_id) do nothing
     returning id`,
    [
      JSON.stringify(
        events.map((event, position) => ({
          position,
          provider_event_id: event.providerEventId,
          source: event.source,
          run_id: event.runId,
          dispatch_n: event.dispatchN,
          attempt: event.attempt,
          message_n: event.messageN,
          kind: event.kind,
          occurred_at: event.occurredAt.toISOString(),
          payload: { suppress: event.suppress, machine: event.machine, detail: event.detail },
        })),
      ),
    ],
  );
  return stored.rows.length;
}

export interface AppliedEvents {
  applied: number;
  /** Runs in which a doubt was settled, so that their workflows look again. */
  doubtsSettled: { tenantId: string; campaignId: string; runN: number }[];
}

/**
 * Turns the oldest stored events into facts on the ledger, in one transaction: facts only ever
 * become earlier, counts come from what changed, and any event of a call proves it was accepted.
 * Applying in another order or twice gives the same ledger.
 */
export async function applyEvents(trx: Knex.Transaction, limit: number): Promise<AppliedEvents> {
  const taken = await trx.raw(
    `select id from message_events where applied_at is null and set_aside is null
      order by id limit ? for update skip locked`,
    [limit],
  );
  const ids = taken.rows.map((row: { id: number }) => row.id);
  if (ids.length === 0) {
    return { applied: 0, doubtsSettled: [] };
  }
  await applyFacts(trx, ids);
  const doubtsSettled = await proveCalls(trx, ids);
  await writeSuppressions(trx, ids);
  await trx.raw(
    `update message_events set applied_at = clock_timestamp() where id = any(cast(? as bigint[]))`,
    [ids],
  );
  return { applied: ids.length, doubtsSettled };
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

async function applyFacts(trx: Knex.Transaction, ids: number[]): Promise<void> {
  // One row a message first: an update with two source rows for one target applies only one.
  const earliest = facts.map(([fact]) => {
    const kinds = Object.entries(factOfKind)
      .filter(([, column]) => column === fact)
      .map(([kind]) => `'${kind}'`);
    return `min(occurred_at) filter (where kind in (${kinds.join(', ')})
      and not coalesce((payload->>'machine')::boolean, false)) as ${fact}`;
  });
  await trx.raw(
    `with facts as (
       select run_id, message_n, ${earliest.join(',\n')}
         from message_events
        where id = any(cast(? as bigint[])) and run_id is not null and message_n is not null
        group by run_id, message_n
     ), before as (
       select m.run_id, m.n, m.dispatch_n, ${facts.map(([fact]) => `m.${fact}`).join(', ')}
         from messages m join facts f on f.run_id = m.run_id and f.message_n = m.n
        order by m.run_id, m.n for update of m
     ), changed as (
       update messages m
          set ${facts.map(([fact]) => `${fact} = least(m.${fact}, f.${fact})`).join(', ')}
         from facts f, before b
        where m.run_id = f.run_id and m.n = f.message_n and b.run_id = m.run_id and b.n = m.n
          and (${facts.map(([fact]) => `f.${fact} is not null and (b.${fact} is null or f.${fact} < b.${fact})`).join(' or ')})
       returning m.run_id, m.dispatch_n,
         ${facts.map(([fact, count]) => `(b.${fact} is null and m.${fact} is not null)::int as ${count}`).join(', ')}
     ), counts as (
       select run_id, dispatch_n, ${facts.map(([, count]) => `sum(${count}) as ${count}`).join(', ')}
         from changed group by run_id, dispatch_n
     ), locked as (
       select d.run_id, d.n from dispatches d
         join counts c on c.run_id = d.run_id and c.dispatch_n = d.n
        order by d.run_id, d.n for update of d
     )
     update dispatches d
        set ${facts.map(([, count]) => `${count} = d.${count} + c.${count}`).join(', ')}
       from counts c, locked l
      where d.run_id = c.run_id and d.n = c.dispatch_n and l.run_id = d.run_id and l.n = d.n`,
    [ids],
  );
}

async function proveCalls(
  trx: Knex.Transaction,
  ids: number[],
): Promise<AppliedEvents['doubtsSettled']> {
  const proven = await trx.raw(
    `with calls as (
       select distinct run_id, dispatch_n, attempt from message_events
        where id = any(cast(:ids as bigint[])) and source <> 'carillon'
          and run_id is not null and dispatch_n is not null and attempt is not null
     ), noted as (
       update dispatch_attempts a
          set outcome = 'accepted', proven_by = 'event', settled_at = clock_timestamp()
         from calls c
        where a.run_id = c.run_id and a.dispatch_n = c.dispatch_n and a.attempt = c.attempt
          and a.outcome is distinct from 'accepted'
     ), doubtful as (
       -- Proof of an earlier attempt settles a dispatch that waits for another one just as well; only
       -- a call that is under way is left to its own outcome.
       select d.run_id, d.n from dispatches d
        where exists (select 1 from calls c
                       where c.run_id = d.run_id and c.dispatch_n = d.n
                         and (c.attempt = d.attempt
                              or (c.attempt < d.attempt and d.state <> 'calling')))
          and (d.run_id, d.n) in (select run_id, dispatch_n from calls)
          and d.state in ('calling', 'in_doubt', 'unconfirmed', 'planned', 'claimed', 'cancelled',
            'expired')
          and d.reason is distinct from 'everyoneLeftOut'
        order by d.run_id, d.n for update of d
     ), settled as (
       update dispatches d
          set state = 'accepted', settled_at = clock_timestamp(), reason = null,
              doubt_until = null, lease_until = null, not_before = null, wait_reason = null
         from doubtful
        where d.run_id = doubtful.run_id and d.n = doubtful.n
       returning d.run_id
     )
     select distinct r.tenant_id as "tenantId", r.campaign_id as "campaignId", r.n as "runN"
       from settled join campaign_runs r on r.id = settled.run_id`,
    { ids },
  );
  return proven.rows;
}

async function writeSuppressions(trx: Knex.Transaction, ids: number[]): Promise<void> {
  // An event without our arguments speaks of the address alone: every tenant that has it stops.
  // One with a run that is none of ours is somebody else's and stops nobody.
  await trx.raw(
    `insert into suppressions (tenant_id, channel, address, reason, run_id)
     select distinct on (tenant_id, address) tenant_id, 'email', address, reason, run_id
       from (
         select coalesce(e.tenant_id, c.tenant_id) as tenant_id,
                lower(e.payload->'suppress'->>'address') as address,
                e.payload->'suppress'->>'reason' as reason, e.run_id, e.id
           from message_events e
           left join customers c on e.run_id is null
            and lower(c.email) = lower(e.payload->'suppress'->>'address')
          where e.id = any(cast(? as bigint[])) and e.payload->'suppress'->>'address' is not null
       ) wished
      where tenant_id is not null
      order by tenant_id, address, id
     on conflict (tenant_id, channel, address) do nothing`,
    [ids],
  );
}
