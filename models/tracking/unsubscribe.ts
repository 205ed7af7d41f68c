import type { Knex } from 'knex';
import type { TrackedMessage } from '../../lib/trackingTokens';
import { storeEvents } from '../messages/events';

/** Who an unsubscribe address is for, as far as a stranger with the address may know. */
export interface UnsubscribeOffer {
  tenantName: string;
  /** Whether the customer is still there, with an address. */
  isKnown: boolean;
}

/** The message behind an unsubscribe address; null when the ledger has none. */
export async function findUnsubscribeOffer(
  trx: Knex.Transaction,
  { runId, messageN }: TrackedMessage,
): Promise<UnsubscribeOffer | null> {
  const found = await trx.raw(
    `select t.name as "tenantName", c.id is not null as "isKnown"
       from messages m join tenants t on t.id = m.tenant_id
       left join customers c
         on c.tenant_id = m.tenant_id and c.id = m.customer_id and c.email is not null
      where m.run_id = ? and m.n = ?`,
    [runId, messageN],
  );
  return found.rows[0] ?? null;
}

/**
 * Stops this channel for the message's customer, from the next gate on, and keeps the wish as an
 * event of the message. A second time changes nothing. A customer who was removed, or has no
 * address any more, gets no mail anyway; their address went with them, so a later import of it
 * cannot be stopped here: `addressUnknown`. `unknown` when the ledger has no such message.
 */
export async function unsubscribe(
  trx: Knex.Transaction,
  message: TrackedMessage,
  at: Date,
): Promise<'unsubscribed' | 'addressUnknown' | 'unknown'> {
  const { runId, messageN } = message;
  if ((await findUnsubscribeOffer(trx, message)) === null) {
    return 'unknown';
  }
  // What is told rests on what this statement saw, not on a look before it.
  const found = await trx.raw(
    `with wished as (
       select m.tenant_id, m.channel, lower(c.email) as address, m.run_id
         from messages m
         join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
        where m.run_id = ? and m.n = ? and c.email is not null
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
  return found.rows.length === 0 ? 'addressUnknown' : 'unsubscribed';
}
