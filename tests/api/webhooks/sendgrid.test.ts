import { loadConfig } from '../../../lib/config';
import { newId } from '../../../lib/ids';
import { acrossTenants } from '../../../models/base';
import { applyEvents } from '../../../models/messages/events';
import { createWebhookKeys } from '../../../sandbox';
import { startTestApi, type TestApi } from '../../support/api';
import { buildLedger, type TestLedger } from '../../support/ledger';
import { deliver } from './delivery';

const keys = createWebhookKeys();
const { privateKeyPem } = keys;
let api: TestApi;
let ledger: TestLedger;

beforeAll(async () => {
  api = await startTestApi({
    config: loadConfig([], {
      NODE_ENV: 'test',
      SENDGRID_WEBHOOK_PUBLIC_KEY: keys.publicKeyBase64,
    }),
  });
});

afterAll(async () => {
  await api.stop();
});

beforeEach(async () => {
  await api.db('message_events').delete();
  ledger = await buildLedger(api.db, { customers: 3 });
});

/** An event of the ledger's first call, as the vendor writes it. */
function event(kind: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    email: 'c0@example.com',
    timestamp: 1_790_000_000,
    event: kind,
    sg_event_id: newId(),
    sg_message_id: 'abc.sandbox-0.0.0',
    carillon_r: ledger.run.id,
    carillon_d: '1.1',
    carillon_m: '1',
    ...fields,
  };
}

function stored() {
  return api.db('message_events').orderBy('id');
}

function apply() {
  return acrossTenants(api.deps.db, 'eventApply', (trx) => applyEvents(trx, 1000));
}

function message(n: number) {
  return api.db('messages').where({ run_id: ledger.run.id, n }).first();
}

function suppressions() {
  return api.db('suppressions').where({ tenant_id: ledger.tenantId }).orderBy('address');
}

describe('who may deliver', () => {
  test('a try of yesterday is still taken', async () => {
    const answer = await deliver(api, [event('delivered')], {
      privateKeyPem,
      timestamp: String(secondsAgo(24 * 3600)),
    });
    expect(answer.status).toBe(200);
  });

  test('without a key nothing is trusted: 503', async () => {
    const other = await startTestApi({ config: loadConfig([], { NODE_ENV: 'test' }) });
    try {
      const answer = await deliver(other, [event('delivered')], { privateKeyPem });
      expect([answer.status, answer.body.code]).toEqual([503, 'webhookNotConfigured']);
      expect(answer.headers.get('Retry-After')).toEqual(expect.any(String));
    } finally {
      await other.stop();
    }
  });
});

describe('what may be delivered', () => {
  test('one bad item does not stop the others', async () => {
    const answer = await deliver(
      api,
      [
        null,
        'text',
        [],
        {},
        event('group_resubscribe'),
        event('constructor'),
        event('delivered', { carillon_r: undefined }),
        event('delivered'),
      ],
      { privateKeyPem },
    );
    expect(answer.body.data).toEqual({ received: 8, stored: 1, skipped: 7 });
    expect(await stored()).toMatchObject([{ kind: 'delivered', message_n: 1 }]);
  });

  test('text that Postgres cannot keep is kept without what it cannot', async () => {
    const reason = `${'x'.repeat(999)}😀`;
    const answer = await deliver(
      api,
      [
        event('bounce', { type: 'blocked', reason: 'a\u0000b\ud800c', response: reason }),
        event('delivered', { sg_event_id: 'id\u0000' }),
      ],
      { privateKeyPem },
    );
    expect(answer.status).toBe(200);
    const [bounced, delivered] = await stored();
    expect(bounced.payload.detail.reason).toBe('ab\u{FFFD}c');
    expect(delivered.provider_event_id).toBe('id');
  });
});

describe('what becomes of events', () => {
  test('a delivery that comes again stores nothing', async () => {
    const events = [event('processed'), event('delivered'), event('open')];
    const first = await deliver(api, events, { privateKeyPem });
    const second = await deliver(api, [...events].reverse(), { privateKeyPem });
    expect(first.body.data).toEqual({ received: 3, stored: 3, skipped: 0 });
    expect(second.body.data).toEqual({ received: 3, stored: 0, skipped: 0 });
    expect(await stored()).toHaveLength(3);
  });

  test('the same event twice in one delivery is one', async () => {
    const one = event('delivered');
    const answer = await deliver(api, [one, one], { privateKeyPem });
    expect(answer.body.data).toMatchObject({ received: 2, stored: 1 });
  });

  test('the same deliveries at once, in other orders, all get through', async () => {
    const events = Array.from({ length: 300 }, () => event('delivered'));
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        deliver(api, i % 2 === 0 ? events : [...events].reverse(), { privateKeyPem }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(await stored()).toHaveLength(300);
  });

  test('events become facts on the ledger and prove their call', async () => {
    await deliver(
      api,
      [
        event('processed'),
        event('delivered', { timestamp: 1_790_000_100 }),
        event('open', { sg_machine_open: false, timestamp: 1_790_000_300 }),
        event('open', { timestamp: 1_790_000_200 }),
        event('click', { url: 'https://shop.example/sale' }),
        event('open', { carillon_m: '2', sg_machine_open: true }),
        event('bounce', { carillon_m: '3', type: 'bounce', email: 'C2@example.com' }),
      ],
      { privateKeyPem },
    );
    await apply();
    expect(await message(1)).toMatchObject({
      delivered_at: new Date(1_790_000_100_000),
      first_opened_at: new Date(1_790_000_200_000),
      first_clicked_at: new Date(1_790_000_000_000),
      bounced_at: null,
    });
    expect(await message(2)).toMatchObject({ first_opened_at: null, delivered_at: null });
    expect(await message(3)).toMatchObject({ bounced_at: new Date(1_790_000_000_000) });
    expect(await ledger.dispatch(1)).toMatchObject({
      delivered_count: 1,
      opened_count: 1,
      clicked_count: 1,
      bounced_count: 1,
    });
    expect(await suppressions()).toMatchObject([
      { address: 'c2@example.com', reason: 'bounced', run_id: ledger.run.id },
    ]);
  });

  test.each([
    ['spamreport', {}, 'complained'],
    ['unsubscribe', {}, 'unsubscribed'],
    ['group_unsubscribe', {}, 'unsubscribed'],
    ['bounce', { type: 'bounce' }, 'bounced'],
    ['dropped', { reason: 'Bounced Address' }, 'bounced'],
    ['dropped', { reason: 'Spam Reporting Address' }, 'complained'],
    ['dropped', { reason: 'Unsubscribed Address' }, 'unsubscribed'],
    ['dropped', { reason: 'Invalid' }, 'invalid'],
  ])('%s %j suppresses the address', async (kind, fields, reason) => {
    await deliver(api, [event(kind, fields)], { privateKeyPem });
    await apply();
    expect(await suppressions()).toMatchObject([{ address: 'c0@example.com', reason }]);
  });

  test.each([
    ['bounce', { type: 'blocked' }],
    ['bounce', {}],
    ['dropped', { reason: 'Spam Content' }],
    ['dropped', { reason: 'Invalid SMTPAPI header' }],
    ['deferred', { response: '451 greylisted' }],
    ['delivered', {}],
  ])('%s %j suppresses nobody', async (kind, fields) => {
    await deliver(api, [event(kind, fields)], { privateKeyPem });
    expect((await apply()).applied).toBe(1);
    expect(await suppressions()).toEqual([]);
  });

  test.each([
    ['no arguments', { carillon_r: undefined, carillon_d: undefined, carillon_m: undefined }],
    ['a run that is no id', { carillon_r: "' or 1=1" }],
    ['no call', { carillon_d: undefined }],
    ['a number that is too large', { carillon_m: '99999999999' }],
    ['a call beyond 32 bits', { carillon_d: '4294967296.1' }],
    ['a negative message', { carillon_m: '-1' }],
    ['an object in place of the run', { carillon_r: { a: 1 } }],
  ])('an event with %s only suppresses its address', async (_name, fields) => {
    const answer = await deliver(
      api,
      [event('spamreport', fields), event('delivered', fields), event('processed', fields)],
      { privateKeyPem },
    );
    expect(answer.body.data).toEqual({ received: 3, stored: 1, skipped: 2 });
    await apply();
    expect(await message(1)).toMatchObject({ complained_at: null, delivered_at: null });
    expect(await suppressions()).toMatchObject([
      { address: 'c0@example.com', reason: 'complained', run_id: null },
    ]);
  });
});

test('counts what came, by what became of it', async () => {
  await deliver(api, [event('delivered'), event('nonsense'), 7], { privateKeyPem });
  const metrics = await api.send('get', '/metrics');
  expect(metrics.text).toMatch(/carillon_webhook_events_total\{.*result="stored".*\} \d+/);
  expect(metrics.text).toMatch(/carillon_webhook_events_total\{.*result="unreadable".*\} \d+/);
});

function secondsAgo(seconds: number): number {
  return Math.floor(Date.now() / 1000) - seconds;
}
