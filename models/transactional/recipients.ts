import type { ShownCustomer } from '../../domain/messages/preview';
import type { Knex } from '../../lib/db';
import { Customer } from '../customers/Customer';

/** Whom a message is for: a customer by id, or an address, whoever has it. */
export type Recipient = { customerId: string } | { email: string } | { phone: string };

/** The tenant's customer who is meant; the oldest of those who share a phone. Null when nobody is. */
export async function findRecipient(
  trx: Knex.Transaction,
  tenantId: string,
  to: Recipient,
): Promise<(ShownCustomer & { id: string }) | null> {
  const query = Customer.query(trx).where('tenant_id', tenantId);
  if ('customerId' in to) {
    query.where('id', to.customerId);
  } else if ('email' in to) {
    query.whereRaw('id in (select id from customers_of_emails(array[lower(?)]))', [to.email]);
  } else {
    query.where('phone', to.phone).orderBy('created_at').orderBy('id');
  }
  return (await query.first()) ?? null;
}
