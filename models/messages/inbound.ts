import type { OptOutWish } from '../../domain/messages/optOut';
import type { Knex } from '../../lib/db';
import { acrossTenantsInOneTrip } from '../base';

/** A message that a customer wrote to one of our numbers, as far as it is kept. */
export interface InboundNote {
  id: string;
  channel: 'sms' | 'whatsapp';
  /** The customer, E.164. */
  from: string;
  /** Our number, or the vendor's name for it. */
  to: string;
  providerMessageId: string;
  wish: OptOutWish | null;
  writtenAt: Date;
}

/** Messages that came in by one account; its tenant is null where it is the platform's. */
export interface InboundDelivery {
  accountId: string;
  tenantId: string | null;
  notes: readonly InboundNote[];
}

/**
 * Keeps what customers wrote, once each, and does what they wish from the next gate on. A stop
 * suppresses the number on its channel, withdraws the consent, and is a fact of the message it most
 * likely answers; a start takes back what a stop did
 * and nothing that was said elsewhere. Of several wishes the one written last holds, in whatever
 * order they come. On the platform's number a wish is meant for every tenant that has the customer.
 * Answers how many were new.
 */
export async function storeInbound(db: Knex, delivery: InboundDelivery): Promise<number> {
  if (delivery.notes.length === 0) {
    return 0;
  }
  const [, rows] = await acrossTenantsInOneTrip(db, 'inbound', [
    { raw: lockNumbers(db, delivery) },
    { raw: storeStatement(db, delivery) },
  ]);
  const [answer] = rows ?? [];
  return answer?.stored ?? 0;
}

// Two wishes of one person are done one after the other, and the second sees what the first did.
function lockNumbers(db: Knex, { notes }: InboundDelivery): Knex.Raw {
  const keys = [...new Set(notes.map(({ channel, from }) => `inbound/${channel}/${from}`))].sort();
  return db
    .raw(
      `select pg_advisory_xact_lock(hashtextextended(k, 0))
         from unnest(cast(? as text[])) with ordinality as u (k, position) order by position`,
      [keys],
    )
    .options({ name: 'lockNumbers' });
}

function storeStatement(db: Knex, { accountId, tenantId, notes }: InboundDelivery): Knex.Raw {
  return db
    .raw(
      `with given as (
         select * from jsonb_to_recordset(cast(:notes as jsonb)) as g (id uuid, channel text,
           "from" text, "to" text, "providerMessageId" text, wish text, "writtenAt" timestamptz)
       ), stored as (
         insert into inbound_messages (id, account_id, tenant_id, channel, from_address, to_address,
           provider_message_id, wish, written_at)
         select id, :accountId, cast(:tenantId as uuid), channel, "from", "to", "providerMessageId",
                wish, least("writtenAt", now())
           from given order by "providerMessageId"
         on conflict (account_id, provider_message_id) do nothing
         returning id, channel, from_address, wish, written_at
       ), newest as (
         -- A stop wins where the vendor's clock cannot tell which came first.
         select distinct on (channel, from_address) channel, from_address, wish, written_at, is_new
           from (
             select channel, from_address, wish, written_at, true as is_new
               from stored where wish in ('stop', 'start')
             union all
             select i.channel, i.from_address, i.wish, i.written_at, false
               from inbound_messages i
              where i.account_id = :accountId and i.wish in ('stop', 'start')
                and (i.channel, i.from_address) in (select channel, from_address from stored
                                                     where wish in ('stop', 'start'))
           ) wishes
          order by channel, from_address, written_at desc, wish desc
       ), heard as materialized (
         select w.channel, w.from_address as phone, lower(w.from_address) as suppression_key, w.wish,
                w.written_at, t.id as tenant_id
           from newest w
           join tenants t
             on case when cast(:tenantId as uuid) is not null then t.id = cast(:tenantId as uuid)
                     else exists (select 1 from customers c
                                   where c.tenant_id = t.id and c.phone = w.from_address) end
          where w.is_new
       ), stopped as (
         insert into suppressions (tenant_id, channel, address, reason)
         select tenant_id, channel, suppression_key, 'unsubscribed' from heard where wish = 'stop'
          order by tenant_id, channel, phone
         on conflict (tenant_id, channel, address) do nothing
       ), lifted as (
         delete from suppressions s using heard h
          where h.wish = 'start' and s.tenant_id = h.tenant_id and s.channel = h.channel
            and s.address = h.suppression_key and s.reason = 'unsubscribed'
            -- Where somebody else withdrew the consent, that is what the suppression stands for.
            and not exists (
              select 1 from customers c
               where c.tenant_id = h.tenant_id and c.phone = h.phone
                 and ${channels.map((channel) => `(h.channel = '${channel}' and ${isWithdrawnElsewhere(channel)})`).join(' or ')})
       ), wished as (
         select tenant_id, phone, ${channels
           .map(
             (channel) => `
                max(wish) filter (where channel = '${channel}') as ${channel},
                max(written_at) filter (where channel = '${channel}') as ${channel}_at`,
           )
           .join(',')}
           from heard group by tenant_id, phone
       ), consents as (
         update customers c
            set ${channels.map(setConsent).join(', ')}, updated_at = now()
           from wished w
          where c.tenant_id = w.tenant_id and c.phone = w.phone
            and (${channels.map(changesConsent).join(' or ')})
       ), answered as (
         insert into message_events (provider_event_id, source, run_id, tenant_id, message_n, kind,
           occurred_at, payload, account_id)
         select 'unsubscribe:' || last.n, 'carillon', last.run_id, h.tenant_id, last.n, 'unsubscribed',
                h.written_at, '{"detail": {"by": "${stopSource}"}}', :accountId
           from heard h cross join lateral (${lastMessage}) last
          where h.wish = 'stop'
         on conflict (run_id, provider_event_id) do nothing
         returning id
       ), listed as (
         insert into waiting_events (event_ids, event_count)
         select array_agg(id order by id), count(*) from answered having count(*) > 0
       )
       select count(*)::int as stored from stored`,
      { notes: JSON.stringify(notes), accountId, tenantId },
    )
    .options({ name: 'storeInbound' });
}

// What a stop most likely answers: the account's newest message to the number, if it left lately. The
// vendor tells whole seconds of its own clock, so a quick answer may seem to come before its message.
const lastMessage = `
  select m.run_id, m.n
    from customers c
    join messages m on m.tenant_id = c.tenant_id and m.customer_id = c.id
     and m.channel = h.channel and m.outcome is null
    join campaign_runs r on r.id = m.run_id and r.account_id = :accountId
    join dispatches d on d.run_id = m.run_id and d.n = m.dispatch_n
     and d.called_at between h.written_at - interval '30 days' and h.written_at + interval '10 seconds'
     and d.state in ('calling', 'accepted', 'in_doubt', 'unconfirmed')
   where c.tenant_id = h.tenant_id and c.phone = h.phone
   order by d.called_at desc, m.run_id desc, m.n desc limit 1`;

const channels = ['sms', 'whatsapp'] as const;
type InboundChannel = (typeof channels)[number];

// Where a consent comes from, as it stands with the customer.
const stopSource = 'stopMessage';
const startSource = 'startMessage';

function isWithdrawnElsewhere(channel: InboundChannel): string {
  return `c.${channel}_consent = 'withdrawn'
    and c.${channel}_consent_source is distinct from '${stopSource}'`;
}

// A start is no consent by itself: "yes" may answer something else.
function changesConsent(channel: InboundChannel): string {
  return `coalesce(
    (w.${channel} = 'stop' and c.${channel}_consent <> 'withdrawn') or
    (w.${channel} = 'start' and c.${channel}_consent = 'withdrawn'
      and c.${channel}_consent_source = '${stopSource}'), false)`;
}

function setConsent(channel: InboundChannel): string {
  const when = (changed: string, otherwise: string) =>
    `case when ${changesConsent(channel)} then ${changed} else c.${otherwise} end`;
  const of = (stop: string, start: string) =>
    `case w.${channel} when 'stop' then '${stop}' else '${start}' end`;
  return `
    ${channel}_consent = ${when(of('withdrawn', 'unknown'), `${channel}_consent`)},
    ${channel}_consent_source = ${when(of(stopSource, startSource), `${channel}_consent_source`)},
    ${channel}_consent_at = ${when(`w.${channel}_at`, `${channel}_consent_at`)}`;
}
