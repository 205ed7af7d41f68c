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
    await withTenant(db, tenantId, (trx) =>
      planRun(trx, { tenantId, runId: run.id, now: new Date() }),
    );
    const messages = await db('messages').where({ run_id: run.id }).orderBy('n');
    expect(messages.map((message) => [ids.indexOf(message.customer_id), message.channel])).toEqual(
      planned.map((index) => [index, channel]),
    );
  });
});

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
