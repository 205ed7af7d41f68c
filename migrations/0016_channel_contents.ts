import type { Knex } from 'knex';

const emailColumns = 'from_name, from_email, reply_to, subject, preheader, html, text';

// What a campaign says by text message or WhatsApp, beside mail: the message as its vendor takes it,
// with Liquid in its texts. A version keeps its own channel, because a run is sent by its version.
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table campaign_contents
      add column channel text not null default 'email',
      add column sender text,
      add column message jsonb,
      alter column from_email drop not null,
      alter column subject drop not null,
      alter column html drop not null,
      add constraint campaign_contents_channel check (
        case channel
          when 'email' then
            num_nulls(from_email, subject, html) = 0 and num_nonnulls(sender, message) = 0
          when 'sms' then
            num_nonnulls(${emailColumns}) = 0
            and coalesce(jsonb_typeof(message->'body') = 'string', false)
          when 'whatsapp' then
            num_nonnulls(${emailColumns}) = 0
            and coalesce(message->>'kind' in ('text', 'template', 'media'), false)
          else false
        end);
  `);
}

// Campaigns that only this version knows go, with their contents; one that ran has a ledger, whose
// key to it refuses: nothing is lost that was sent.
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    delete from campaigns where channel <> 'email';
    alter table campaign_contents
      drop constraint campaign_contents_channel,
      drop column channel,
      drop column sender,
      drop column message,
      alter column from_email set not null,
      alter column subject set not null,
      alter column html set not null;
  `);
}
