import type { Knex } from 'knex';
import type { Channel } from '../../domain/campaigns/types';
import { accountChannels } from '../../domain/messages/accounts/types';
import type { TrackedMessage } from '../../lib/trackingTokens';
import { reachOf } from '../customers/reach';
import { storeEvents } from '../messages/events';

/** Who an unsubscribe address is for, as far as a stranger with the address may know. */
export interface UnsubscribeOffer {
  tenantName: string;
  /** The message's: what would be stopped. */
  channel: Channel;
  /** Whether the customer is still there, with an address on the channel. */
  isKnown: boolean;
}

/** The message behind an unsubscribe address; null when the ledger has none. */
export async function findUnsubscribeOffer(
  trx: Knex.Transaction,
  { runId, messageN }: TrackedMessage,
): Promise<UnsubscribeOffer | null> {
  const found = await trx.raw(
    `select t.name as "tenantName", m.channel, ${stoppedAddress} is not null as "isKnown"
       from messages m join tenants t on t.id = m.tenant_id
       left join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
      where m.run_id = ? and m.n = ?`,
    [runId, messageN],
  );
  return found.rows[0] ?? null;
}

/** What became of a wish to unsubscribe. */
export type Unsubscribed =
  | { kind: 'unsubscribed'; channel: Channel }
  | { kind: 'addressUnknown' }
  | { kind: 'unknown' };

/**
 * Stops this channel for the message's customer, from the next gate on, and keeps the wish as an
 * event of the message. A second time changes nothing. A customer who was removed, or has no
 * address any more, gets nothing anyway; their address went with them, so a later import of it
 * cannot be stopped here: `addressUnknown`. `unknown` when the ledger has no such message.
 */
export async function unsubscribe(
  trx: Knex.Transaction,
  message: TrackedMessage,
  at: Date,
): Promise<Unsubscribed> {
  const { runId, messageN } = message;
  const offer = await findUnsubscribeOffer(trx, message);
  if (offer === null) {
    return { kind: 'unknown' };
  }
  // What is told rests on what this statement saw, not on a look before it.
  const found = await trx.raw(
    `with wished as (
       select m.tenant_id, m.channel, ${stoppedAddress} as address, m.run_id
         from messages m
         join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
        where m.run_id = ? and m.n = ? and ${stoppedAddress} is not null
     ), stopped as (
       insert into suppressions (tenant_id, channel, address, reason, run_id)
       select tenant_id, channel, address, 'unsubscribed', run_id from wished
       on conflict (tenant_id, channel, address) do nothing
     )
     select address from wished`,
    [runId, messageN],
  );
  await storeEvents(trx, [
    {
      providerEventId: `unsubscribe:${messageN}`,
      source: 'carillon',
      runId,
      dispatchN: null,
      attempt: null,
      messageN,
      kind: 'unsubscribed',
      occurredAt: at,
      suppress: null,
      machine: false,
      detail: {},
    },
  ]);
  return found.rows.length === 0
    ? { kind: 'addressUnknown' }
    : { kind: 'unsubscribed', channel: offer.channel };
}

/** SQL: the address of the customer `c` as suppressions of the message `m`'s channel have it. */
const stoppedAddress = `
  case m.channel ${accountChannels
    .map((channel) => `when '${channel}' then ${reachOf[channel].suppressionKey}`)
    .join(' ')} end`;
