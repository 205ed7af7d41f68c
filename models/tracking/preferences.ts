import { keysFirst } from '../customers/reach';
import type { Knex } from 'knex';
import type { PreferenceChannel, PreferenceState } from '../../domain/tracking/preferences';
import type { TrackedMessage } from '../../lib/trackingTokens';
import { storeEvents } from '../messages/events';

/** One way a tenant can reach the customer of a message, and whether they may. */
export interface ChannelPreference {
  channel: PreferenceChannel;
  address: string;
  state: PreferenceState;
  consent: 'unknown' | 'granted' | 'withdrawn';
}

/** What the customer of a message may choose; channels they have no address on are not in it. */
export interface Preferences {
  tenantName: string;
  channels: ChannelPreference[];
}

/** What a person wants of a channel; `consent` is what turning it on says of their consent. */
export type PreferenceWish =
  | { channel: PreferenceChannel; isOn: false }
  | { channel: PreferenceChannel; isOn: true; consent: 'granted' | 'unknown' };

// The customer of one message and, a row each, the channels they can be reached on.
const channelsOfMessage = `
  who as (
    select m.tenant_id, m.run_id, m.channel as message_channel, t.name as tenant_name, c.id,
           c.email, c.phone, c.email_consent, c.sms_consent, c.whatsapp_consent
      from messages m
      join tenants t on t.id = m.tenant_id
      left join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
     where m.run_id = :runId and m.n = :messageN
  ), channels as (
    select who.tenant_id, w.position, w.channel, w.address, w.consent, s.reason,
           case when s.reason is not null and s.reason <> 'unsubscribed' then 'blocked'
                when s.reason is not null or w.consent = 'withdrawn' then 'off'
                else 'on' end as state
      from who
      cross join lateral (
        select * from (values
          (1, 'email', lower(who.email), who.email_consent),
          (2, 'sms', who.phone, who.sms_consent),
          (3, 'whatsapp', who.phone, who.whatsapp_consent)) as v (position, channel, address, consent)
        ${keysFirst}) w
      left join suppressions s on s.tenant_id = who.tenant_id and s.channel = w.channel
       and s.address = w.address
     where w.address is not null
  )`;

/** What the customer of a message can choose from; null when the ledger has no such message. */
export async function findPreferences(
  trx: Knex.Transaction,
  message: TrackedMessage,
): Promise<Preferences | null> {
  const found = await trx.raw(
    `with ${channelsOfMessage}
     select who.tenant_name as "tenantName",
            coalesce(
              (select jsonb_agg(jsonb_build_object('channel', channel, 'address', address,
                        'state', state, 'consent', consent) order by position)
                 from channels),
              '[]') as channels
       from who`,
    { runId: message.runId, messageN: message.messageN },
  );
  return found.rows[0] ?? null;
}

/**
 * Writes what the customer of a message wants, from the next gate on, and answers what they could
 * choose from before. Turning a channel off suppresses its address and withdraws the consent;
 * turning it on lifts only what the customer asked for: an address that bounced, complained or was
 * stopped by the sender stays so. Where a wish says what holds already nothing is written, so a
 * repetition changes nothing. Null when the ledger has no such message.
 */
export async function savePreferences(
  trx: Knex.Transaction,
  message: TrackedMessage,
  { wishes, at }: { wishes: readonly PreferenceWish[]; at: Date },
): Promise<Preferences | null> {
  const key = { runId: message.runId, messageN: message.messageN };
  // Two wishes at once are written one after the other.
  await trx.raw(
    `select c.id from messages m
       join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
      where m.run_id = :runId and m.n = :messageN for update of c`,
    key,
  );
  const before = await findPreferences(trx, message);
  if (before === null || before.channels.length === 0) {
    return before;
  }
  const written = await trx.raw(
    `with ${channelsOfMessage}, wishes as (
       select channel, "isOn" as is_on, consent as wished_consent
         from jsonb_to_recordset(cast(:wishes as jsonb))
           as w (channel text, "isOn" boolean, consent text)
     ), wanted as (
       select c.*, w.is_on, w.wished_consent from channels c join wishes w using (channel)
     ), lifted as (
       delete from suppressions s using wanted w
        where w.is_on and s.tenant_id = w.tenant_id and s.channel = w.channel
          and s.address = w.address and s.reason = 'unsubscribed'
     ), stopped as (
       insert into suppressions (tenant_id, channel, address, reason, run_id, created_at)
       select tenant_id, channel, address, 'unsubscribed', cast(:runId as uuid), cast(:at as timestamptz)
         from wanted where not is_on
       on conflict (tenant_id, channel, address) do nothing
     ), consents as (
       -- Off is a withdrawal however it stood; on says something new only where it was off.
       select max(consent) filter (where channel = 'email') as email,
              max(consent) filter (where channel = 'sms') as sms,
              max(consent) filter (where channel = 'whatsapp') as whatsapp
         from (
           select channel, case when is_on then wished_consent else 'withdrawn' end as consent
             from wanted
            where case when is_on
                       then state = 'off' and (consent = 'withdrawn' or wished_consent = 'granted')
                       else consent <> 'withdrawn' end
         ) changed
     ), written as (
       update customers c
          set ${['email', 'sms', 'whatsapp'].map(setConsent).join(', ')}, updated_at = cast(:at as timestamptz)
         from who, consents n
        where c.tenant_id = who.tenant_id and c.id = who.id
          and coalesce(n.email, n.sms, n.whatsapp) is not null
     )
     select exists (
       select from wanted join who on who.message_channel = wanted.channel where not is_on
     ) as "isMessageChannelOff"`,
    { ...key, at: at.toISOString(), wishes: JSON.stringify(wishes) },
  );
  if (written.rows[0].isMessageChannelOff) {
    await storeEvents(trx, [
      {
        providerEventId: `unsubscribe:${message.messageN}`,
        source: 'carillon',
        ...message,
        dispatchN: null,
        attempt: null,
        kind: 'unsubscribed',
        occurredAt: at,
        suppress: null,
        machine: false,
        detail: { by: 'preferencePage' },
      },
    ]);
  }
  return before;
}

function setConsent(channel: string): string {
  return `
    ${channel}_consent = coalesce(n.${channel}, c.${channel}_consent),
    ${channel}_consent_source =
      case when n.${channel} is null then c.${channel}_consent_source else 'preferencePage' end,
    ${channel}_consent_at = case when n.${channel} is null then c.${channel}_consent_at
           else cast(:at as timestamptz) end`;
}
