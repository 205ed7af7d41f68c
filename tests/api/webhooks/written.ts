import type { TestApi } from '../../support/api';

const tables = [
  'message_events',
  'waiting_events',
  'suppressions',
  'dispatch_attempts',
  'inbound_messages',
];

/** How many rows there are of everything that a delivery may write, and what consents say. */
export async function written({ db }: TestApi): Promise<Record<string, number>> {
  const counts = tables.map((table) => `(select count(*) from ${table}) as ${table}`);
  const found = await db.raw(
    `select ${counts.join(', ')}, (select count(*) from customers
       where 'withdrawn' in (email_consent, sms_consent, whatsapp_consent)) as withdrawn`,
  );
  return found.rows[0];
}
