import type { Channel } from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { countAudience } from '../../models/campaigns/audience';
import { planRun } from '../../models/campaigns/planning';
import { createRun } from '../../models/campaigns/runs';
import { ensurePlatformAccount } from '../../models/messages/platformAccounts';
import { testSealing } from '../support/accounts';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { everyone, insertCampaign, insertTenant } from '../support/records';

let db: Knex;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  db = database.db;
});

afterAll(() => database.drop());

const both = { email: 'both@x.example', phone: '+4930111' };

async function insertPeople(tenantId: string, people: Record<string, unknown>[]) {
  const rows = people.map((person) => ({ id: newId(), tenant_id: tenantId, ...person }));
  await db('customers').insert(rows);
  return rows.map(({ id }) => id);
}

async function buildAudience() {
  const tenantId = await insertTenant(db);
  const ids = await insertPeople(tenantId, [
    both,
    { email: 'mail@x.example' },
    { phone: '+4930222' },
    { phone: '+4930333', sms_consent: 'withdrawn' },
    { email: 'no@x.example', email_consent: 'withdrawn', phone: '+4930444' },
    { phone: '+4930555', whatsapp_consent: 'withdrawn' },
    { email: 'Stop@x.example', phone: '+4930666' },
  ]);
  const otherTenant = await insertTenant(db);
  await db('suppressions').insert([
    { tenant_id: tenantId, channel: 'email', address: 'stop@x.example', reason: 'unsubscribed' },
    { tenant_id: tenantId, channel: 'sms', address: '+4930666', reason: 'unsubscribed' },
    { tenant_id: tenantId, channel: 'whatsapp', address: '+4930222', reason: 'manual' },
    { tenant_id: otherTenant, channel: 'sms', address: '+4930111', reason: 'manual' },
  ]);
  return { tenantId, ids };
}

describe('an audience', () => {
  test.each([
    ['email', 2, { noAddress: 3, withdrawn: 1, suppressed: 1 }],
    ['sms', 4, { noAddress: 1, withdrawn: 1, suppressed: 1 }],
    ['whatsapp', 4, { noAddress: 1, withdrawn: 1, suppressed: 1 }],
  ] as const)(
    'is counted by the addresses, consents and suppressions of %s',
    async (channel, reached, leftOut) => {
      const { tenantId } = await buildAudience();
      const count = await withTenant(db, tenantId, (trx) =>
        countAudience(trx, tenantId, channel, everyone),
      );
      expect(count).toEqual({ total: 7, groups: [{ zone: null, customers: reached }], leftOut });
    },
  );

  test.each([
    ['email', 'sendgrid', [0, 1]],
    ['sms', 'twilio', [0, 2, 4, 5]],
    ['whatsapp', 'twilio', [0, 3, 4, 6]],
  ] as const)('is planned by the same rule on %s', async (channel, vendor, planned) => {
    const { tenantId, ids } = await buildAudience();
    await ensureAccount(channel, vendor);
    const { customers, channels } = await plan(channel, tenantId);
    expect(customers.map((id) => ids.indexOf(id))).toEqual(planned);
    expect(channels).toEqual(new Set([channel]));
  });
});

describe('customers with one phone', () => {
  const phone = '+4930777';

  async function count(tenantId: string, audience = everyone) {
    const { groups, leftOut, total } = await withTenant(db, tenantId, (trx) =>
      countAudience(trx, tenantId, 'sms', audience),
    );
    return { total, reached: groups.reduce((sum, group) => sum + group.customers, 0), leftOut };
  }

  test('get one message between them, and the counts say so', async () => {
    const tenantId = await insertTenant(db);
    await ensureAccount('sms', 'twilio');
    const ids = await insertPeople(tenantId, [
      { phone, time_zone: 'Asia/Tokyo' },
      { phone, time_zone: 'Europe/Paris' },
      { phone },
      { phone: '+4930888' },
    ]);
    await insertPeople(await insertTenant(db), [{ phone }]);
    expect(await count(tenantId)).toEqual({ total: 4, reached: 2, leftOut: { sameAddress: 2 } });
    const { planned, leftOut, customers } = await plan('sms', tenantId);
    expect({ planned, leftOut }).toEqual({ planned: 2, leftOut: { sameAddress: 2 } });
    expect(new Set(customers)).toEqual(new Set([ids[0], ids[3]]));
  });

  test('stand back only for somebody of the same audience who may be written to', async () => {
    const tenantId = await insertTenant(db);
    await insertPeople(tenantId, [
      { phone, sms_consent: 'withdrawn' },
      { phone, tags: ['other'] },
      { phone, tags: ['loyal'] },
      { phone, tags: ['loyal'] },
    ]);
    expect(await count(tenantId, { ...everyone, includeTags: ['loyal'] })).toEqual({
      total: 2,
      reached: 1,
      leftOut: { sameAddress: 1 },
    });
    await db('suppressions').insert({
      tenant_id: tenantId,
      channel: 'sms',
      address: phone,
      reason: 'unsubscribed',
    });
    expect(await count(tenantId)).toEqual({
      total: 4,
      reached: 0,
      leftOut: { withdrawn: 1, suppressed: 3 },
    });
  });
});

/** Writes the plan of a campaign to everyone. */
async function plan(channel: Channel, tenantId: string) {
  const campaignId = await insertCampaign(db, tenantId);
  const run = await withTenant(db, tenantId, (trx) =>
    createRun(trx, {
      id: newId(),
      tenantId,
      campaignId,
      channel,
      contentVersion: 1,
      audience: everyone,
      schedule: { kind: 'now' },
      actor: { kind: 'user', id: null },
    }),
  );
  const { planned, leftOut } = await withTenant(db, tenantId, (trx) =>
    planRun(trx, { tenantId, runId: run.id, now: new Date() }),
  );
  const messages = await db('messages').where({ run_id: run.id }).orderBy('n');
  return {
    planned,
    leftOut,
    customers: messages.map((message) => message.customer_id),
    channels: new Set(messages.map((message) => message.channel)),
  };
}

async function ensureAccount(channel: Channel, vendor: 'sendgrid' | 'twilio') {
  const accounts = {
    sendgrid: {
      vendor: 'sendgrid',
      settings: { region: 'global' },
      credentials: { apiKey: 'SG.test' },
    },
    twilio: {
      vendor: 'twilio',
      settings: { accountSid: `AC${'0'.repeat(32)}` },
      credentials: { authToken: 'a token' },
    },
  } as const;
  await ensurePlatformAccount(db, testSealing, {
    id: `${vendor}-${channel}`,
    channel,
    name: vendor,
    senders: [],
    active: true,
    limitPerMinute: 0,
    ...accounts[vendor],
  });
}
