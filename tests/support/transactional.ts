import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { acceptMessage, type NewMessage } from '../../models/transactional/accept';
import { insertTenant } from './records';

/** A mail to an address that is nobody's, by the platform's account. */
export function newMessage(tenantId: string, values: Partial<NewMessage> = {}): NewMessage {
  const id = values.id ?? newId();
  return {
    tenantId,
    id,
    slot: id,
    digest: Buffer.from(id),
    accountId: 'sendgrid',
    customerId: null,
    address: `${id}@example.com`,
    content: {
      channel: 'email',
      from: { email: 'shop@example.com', name: null },
      toName: null,
      replyTo: null,
      subject: 'Your code',
      html: '<p>123</p>',
      text: '123',
    },
    createdBy: newId(),
    ...values,
  };
}

/** A tenant, a new one unless it is given, that has asked for some messages. */
export async function askForMessages(
  db: Knex,
  count: number,
  values: Partial<NewMessage> = {},
): Promise<{ tenantId: string; messages: NewMessage[] }> {
  const tenantId = values.tenantId ?? (await insertTenant(db));
  const messages = Array.from({ length: count }, () => newMessage(tenantId, values));
  for (const message of messages) {
    await withTenant(db, tenantId, (trx) => acceptMessage(trx, message));
  }
  return { tenantId, messages };
}

/** The dispatches of a tenant's messages, in the order they were asked for. */
export function dispatchesOf(db: Knex, tenantId: string): Promise<Record<string, unknown>[]> {
  return db('transactional_messages as t')
    .join('dispatches as d', { 'd.run_id': 't.run_id', 'd.n': 't.n' })
    .where('t.tenant_id', tenantId)
    .orderBy('t.n')
    .select('d.*');
}
