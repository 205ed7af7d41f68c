import type { Knex } from 'knex';

/** A window that a customer opened by writing to us on WhatsApp. */
export interface OpenWindow {
  phone: string;
  /** The number of ours that they wrote to; the window is open for messages from it. */
  ourNumber: string;
  openUntil: Date;
}

/**
 * Which of these customers wrote to the account on WhatsApp within 24 hours, and may therefore get
 * text and media that no template was approved for; of each only the newest window.
 * https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages
 */
export async function openWindows(
  trx: Knex.Transaction,
  { tenantId, accountId, phones }: { tenantId: string; accountId: string; phones: string[] },
): Promise<OpenWindow[]> {
  const found = await trx.raw(
    `select p.phone, i.to_address as "ourNumber", i.written_at + interval '24 hours' as "openUntil"
       from unnest(cast(:phones as text[])) as p (phone)
       cross join lateral (
         select to_address, written_at from inbound_messages
          where account_id = :accountId and channel = 'whatsapp' and from_address = p.phone
            and (tenant_id = :tenantId or tenant_id is null)
          order by written_at desc limit 1) i
      where i.written_at > clock_timestamp() - interval '24 hours'`,
    { tenantId, accountId, phones },
  );
  return found.rows;
}
