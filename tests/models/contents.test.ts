import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { migrate, migrationSource } from '../../migrations';
import { withTenant } from '../../models/base';
import { loadCampaignContent, loadRunContent } from '../../models/campaigns/contents';
import { createRun } from '../../models/campaigns/runs';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { everyone, insertCampaign, insertTenant } from '../support/records';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

/** A campaign whose only version is this row. */
async function insertContent(channel: string, row: Record<string, unknown>) {
  const tenantId = await insertTenant(db);
  const id = newId();
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
    ...row,
  });
  return { tenantId, id };
}

const text = JSON.stringify({ body: 'Hi {{ customer.firstName }}' });
const template = { kind: 'template', id: 'sale', language: 'en', variables: { b: '2', '1': 'x' } };

test.each([
  [
    'sms',
    { message: text, sender: 'BELLS' },
    { body: 'Hi {{ customer.firstName }}', sender: 'BELLS' },
  ],
  ['whatsapp', { message: JSON.stringify(template) }, { message: template, sender: null }],
] as const)(
  'is loaded in the form of its channel, from a draft and from a run: %s',
  async (channel, row, form) => {
    const { tenantId, id } = await insertContent(channel, row);
    const wanted = {
      channel,
      version: 1,
      campaignName: 'Spring sale',
      tenantName: 'Test shop',
      ...form,
    };
    const { draft, frozen } = await withTenant(db, tenantId, async (trx) => {
      const run = await createRun(trx, {
        id: newId(),
        tenantId,
        campaignId: id,
        channel,
        contentVersion: 1,
        audience: everyone,
        schedule: { kind: 'now' },
        actor: { kind: 'user', id: null },
      });
      return {
        draft: await loadCampaignContent(trx, tenantId, id),
        frozen: await loadRunContent(trx, tenantId, run.id),
      };
    });
    expect(draft).toEqual(wanted);
    expect(frozen).toEqual(wanted);
  },
);

test('of another tenant is not found', async () => {
  const { id } = await insertContent('sms', { message: text });
  const tenantId = await insertTenant(db);
  await expect(
    withTenant(db, tenantId, (trx) => loadCampaignContent(trx, tenantId, id)),
  ).rejects.toMatchObject({ code: 'campaignNotFound' });
});

const mail = { from_email: 'shop@example.com', subject: 'Hello', html: '<p>Hello</p>' };

test.each([
  ['sms', {}],
  ['sms', { message: JSON.stringify({ kind: 'text' }) }],
  ['sms', { message: text, subject: 'Hello' }],
  ['whatsapp', {}],
  ['whatsapp', { message: text }],
  ['whatsapp', { message: JSON.stringify({ kind: 'sticker' }) }],
  ['email', {}],
  ['email', { ...mail, html: null }],
  ['email', { ...mail, sender: 'BELLS' }],
  ['email', { ...mail, message: text }],
])('is no half of one channel: %s %j', async (channel, row) => {
  await expect(insertContent(channel, row)).rejects.toThrow(/campaign_contents_channel/);
});

test('the way back removes drafts of texts, and refuses where one was sent', async () => {
  const other = await createTestDatabase();
  try {
    const tenantId = await insertTenant(other.db);
    const kept = await insertCampaign(other.db, tenantId);
    const [draft, sent] = [newId(), newId()];
    for (const id of [draft, sent]) {
      await other.db('campaigns').insert({
        id,
        tenant_id: tenantId,
        name: 'By text',
        channel: 'sms',
        audience: JSON.stringify(everyone),
      });
      await other.db('campaign_contents').insert({
        tenant_id: tenantId,
        campaign_id: id,
        version: 1,
        channel: 'sms',
        message: text,
      });
    }
    const back = async () => {
      for (;;) {
        const [, names] = await other.db.migrate.down({ migrationSource });
        if (String(names) === '0016_channel_contents') {
          return;
        }
      }
    };
    const run = await withTenant(other.db, tenantId, (trx) =>
      createRun(trx, {
        id: newId(),
        tenantId,
        campaignId: sent,
        channel: 'sms',
        contentVersion: 1,
        audience: everyone,
        schedule: { kind: 'now' },
        actor: { kind: 'user', id: null },
      }),
    );
    await expect(back()).rejects.toThrow(/campaign_runs/);
    expect(await other.db('campaigns').where({ tenant_id: tenantId })).toHaveLength(3);
    await other.db('campaigns').where({ id: sent }).update({ current_run_id: null });
    await other.db('campaign_runs').where({ id: run.id }).delete();
    await back();
    expect(await other.db('campaigns').pluck('id')).toEqual([kept]);
    expect(await migrate(other.db)).toContain('0016_channel_contents');
  } finally {
    await other.drop();
  }
});
