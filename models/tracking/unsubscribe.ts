import type { Knex } from 'knex';
import type { TrackedMessage } from '../../lib/trackingTokens';
import { storeEvents } from '../messages/events';

/** Who an unsubscribe address is for, as far as a stranger with the address may know. */
export interface UnsubscribeOffer {
  tenantName: string;
}

/** The message behind an unsubscribe address; null when the ledger has none. */
export async function findUnsubscribeOffer(
  trx: Knex.Transaction,
  { runId, messageN }: TrackedMessage,
): Promise<UnsubscribeOffer | null> {
  const found = await trx.raw(
    `select t.name as "tenantName"
       from messages m join tenants t on t.id = m.tenant_id
      where m.run_id = ? and m.n = ?`,
    [runId, messageN],
  );
  return found.rows[0] ?? null;
}

/**
 * Stops this channel for the message's customer, from the next gate on, and keeps the wish as an
 * event of the message. A second time changes nothing. False when the ledger has no such message.
 */
export async function unsubscribe(
  trx: Knex.Transaction,
  message: TrackedMessage,
  at: Date,
): Promise<boolean> {
  const { runId, messageN } = message;
  if ((await findUnsubscribeOffer(trx, message)) === null) {
    return false;
  }
  // An erased customer has no address any more; then the wish alone is kept.
  await trx.raw(
    `insert into suppressions (tenant_id, channel, address, reason, run_id)
     select m.tenant_id, m.channel, lower(c.email), 'unsubscribed', m.run_id
       from messages m
       join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id
      where m.run_id = ? and m.n = ? and c.email is not null
     on conflict (tenant_id, channel, address) do nothing`,
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
  return true;
}
