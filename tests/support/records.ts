import type { Audience, Channel } from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';

/** Writes customers as they are given, in one statement. */
export async function insertCustomers(
  db: Knex,
  tenantId: string,
  customers: {
    email: string | null;
    phone?: string;
    timeZone?: string | null;
    firstName?: string;
  }[],
): Promise<string[]> {
  const rows = customers.map((customer) => ({
    id: newId(),
    tenant_id: tenantId,
    email: customer.email,
    phone: customer.phone ?? null,
    first_name: customer.firstName ?? 'Ana',
    time_zone: customer.timeZone ?? null,
  }));
  await db.batchInsert('customers', rows, 1000);
  return rows.map((row) => row.id);
}

/** A tenant without people. */
export async function insertTenant(
  db: Knex,
  timeZone = 'UTC',
  name = 'Test shop',
): Promise<string> {
  const id = newId();
  await db('tenants').insert({ id, name, time_zone: timeZone });
  await db('subscriptions').insert({ tenant_id: id, plan: 'enterprise', status: 'active' });
  return id;
}

/** A campaign with content that shows a merge field and a link. */
export async function insertCampaign(
  db: Knex,
  tenantId: string,
  content: { channel?: Channel; subject?: string; html?: string } = {},
): Promise<string> {
  const id = newId();
  const { channel = 'email' } = content;
  await db('campaigns').insert({
    id,
    tenant_id: tenantId,
    name: 'Spring sale',
    channel,
    audience: JSON.stringify(everyone),
  });
  await db('campaign_contents').insert({
    tenant_id: tenantId,
    campaign_id: id,
    version: 1,
    channel,
    ...contentColumns(channel, content),
  });
  return id;
}

function contentColumns(channel: Channel, content: { subject?: string; html?: string }) {
  switch (channel) {
    case 'email':
      return {
        from_email: 'shop@example.com',
        subject: content.subject ?? 'Hello {{ customer.firstName }}',
        html:
          content.html ??
          '<html><body><p>Hi {{ customer.firstName }}</p><a href="https://shop.example/sale">Sale</a></body></html>',
        links: ['https://shop.example/sale'],
      };
    case 'sms':
      return { message: JSON.stringify({ body: 'Hi {{ customer.firstName }}' }) };
    case 'whatsapp':
      return {
        message: JSON.stringify({
          kind: 'template',
          id: 'spring_sale',
          language: 'en',
          variables: { 1: '{{ customer.firstName }}' },
        }),
      };
  }
}

export const everyone: Audience = { includeTags: [], excludeTags: [], customerIds: [] };
