import { startTestApi, type TestApi } from '../../support/api';
import { buildLedger } from '../../support/ledger';
import { buildTracking, tokens, withoutDatabase, type TrackingGround } from './ground';

let api: TestApi;
let t: TrackingGround;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

beforeEach(async () => {
  t = await buildTracking(api);
});

test('the page asks and changes nothing', async () => {
  await api.db('tenants').where({ id: t.ledger.tenantId }).update({ name: '<b>Bells</b> & "Co"' });
  const page = await t.get(`/t/u/${t.tokenOf(1)}?utm_source=mail`);
  expect(page.status).toBe(200);
  expect(page.text).toContain('&lt;b&gt;Bells&lt;/b&gt; &amp; &quot;Co&quot;');
  expect(page.text).toContain('<form method="post">');
  expect(page.text).not.toContain('example.com');
  expect(await t.stored()).toEqual([]);
  expect(await t.suppressions()).toEqual([]);
});

test('the pages run nothing, load nothing and are framed by nobody', async () => {
  const page = await t.get(`/t/u/${t.tokenOf(1)}`);
  const policy = page.headers.get('Content-Security-Policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("form-action 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain('unsafe');
  expect(policy).not.toContain('script-src');
  expect(page.headers.get('Cache-Control')).toBe('no-store');
  expect(page.headers.get('Set-Cookie')).toBeNull();
});

test.each([
  ['long beyond all tokens', 'x'.repeat(4_000)],
  ['NUL', '%00'],
  ['half a character', '%ff'],
])('whoever has a broken address gets a page: %s', async (_, token) => {
  const page = await t.get(`/t/u/${token}`);
  expect([page.status, page.headers.get('Content-Type')]).toEqual([
    404,
    'text/html; charset=utf-8',
  ]);
});

const multipart = new FormData();
multipart.set('List-Unsubscribe', 'One-Click');
const forms: [string, NonNullable<RequestInit['body']> | undefined, Record<string, string>][] = [
  ['RFC 8058, url-encoded', new URLSearchParams({ 'List-Unsubscribe': 'One-Click' }), {}],
  ['RFC 8058, multipart', multipart, {}],
  ['the button of the page', new URLSearchParams(), {}],
  ['no body', undefined, {}],
  ['a body that is no JSON', '{', { 'Content-Type': 'application/json' }],
  ['another type', 'x', { 'Content-Type': 'text/plain; charset=latin1' }],
  ['a packed body', 'x', { 'Content-Encoding': 'gzip', 'Content-Type': 'application/json' }],
  ['a large body', 'x'.repeat(3_000_000), {}],
];

test.each(forms)('takes %s', async (_name, body, headers) => {
  const answer = await api.send('post', `/t/u/${t.tokenOf(1)}`, {
    headers,
    ...(body === undefined ? {} : { body }),
  });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('Location')).toBeNull();
  expect(answer.text).toContain('unsubscribed');
  expect(await t.suppressions()).toMatchObject([
    {
      address: await addressOf(1),
      channel: 'email',
      reason: 'unsubscribed',
      run_id: t.ledger.run.id,
    },
  ]);
  await t.apply();
  expect((await t.message(1)).unsubscribed_at).toEqual(expect.any(Date));
  expect(await t.ledger.dispatch(1)).toMatchObject({ unsubscribed_count: 1, state: 'planned' });
});

test('a second time changes nothing', async () => {
  const [first, second] = await Promise.all([
    api.send('post', `/t/u/${t.tokenOf(1)}`),
    api.send('post', `/t/u/${t.tokenOf(1)}?again=1`),
  ]);
  const third = await api.send('post', `/t/u/${t.tokenOf(1)}`);
  expect([first.status, second.status, third.status]).toEqual([200, 200, 200]);
  expect(await t.suppressions()).toHaveLength(1);
  expect(await t.stored()).toHaveLength(1);
});

test('keeps the reason of an address that was suppressed before', async () => {
  await api.db('suppressions').insert({
    tenant_id: t.ledger.tenantId,
    channel: 'email',
    address: await addressOf(1),
    reason: 'complained',
  });
  expect((await api.send('post', `/t/u/${t.tokenOf(1)}`)).status).toBe(200);
  expect(await t.suppressions()).toMatchObject([{ reason: 'complained' }]);
});

test('an address in capitals is stopped however it is written', async () => {
  await api
    .db('customers')
    .where({ id: (await t.message(1)).customer_id })
    .update({ email: 'C-One@Example.com' });
  await api.send('post', `/t/u/${t.tokenOf(1)}`);
  expect(await t.suppressions()).toMatchObject([{ address: 'c-one@example.com' }]);
});

test.each([
  ['sms', 'text messages'],
  ['whatsapp', 'WhatsApp messages'],
] as const)('a message by %s stops its own channel at its own number', async (channel, words) => {
  const { db } = api;
  await db('messages').where({ run_id: t.ledger.run.id }).update({ channel });
  const { customer_id: id } = await t.message(1);
  await db('customers').where({ id }).update({ phone: '+4930123456' });
  const address = `/t/u/${t.tokenOf(1)}`;
  expect((await t.get(address)).text).toContain(`no more ${words}`);
  const done = await api.send('post', address);
  expect(done.text).toContain(`no more ${words}`);
  expect(done.text).toContain(`name="${channel}" value="unknown"`);
  expect(await t.suppressions()).toMatchObject([
    { channel, address: '+4930123456', reason: 'unsubscribed' },
  ]);
  // The mail address of who has no phone is not what they meant.
  const other = `/t/u/${t.tokenOf(2)}`;
  expect((await t.get(other)).text).toContain('not known');
  expect((await api.send('post', other)).text).toContain('not known');
  expect(await t.suppressions()).toHaveLength(1);
});

test('nobody else is stopped, in no tenant', async () => {
  const other = await buildLedger(api.db, { customers: 3 });
  await api.send('post', `/t/u/${t.tokenOf(1)}`);
  expect(await t.suppressions()).toHaveLength(1);
  expect(await api.db('suppressions').where({ tenant_id: other.tenantId })).toEqual([]);
});

test('the page speaks the language of the browser', async () => {
  for (const [asked, language, word] of [
    ['de-AT,de;q=0.9,en;q=0.5', 'de', 'Abmelden'],
    ['ja, fr;q=0.4', 'fr', 'Se désabonner'],
    ['es', 'es', 'Darme de baja'],
    ['ja', 'en', 'Unsubscribe'],
    ['*', 'en', 'Unsubscribe'],
    ['x'.repeat(50), 'en', 'Unsubscribe'],
  ] as const) {
    const page = await t.get(`/t/u/${t.tokenOf(1)}`, undefined, { 'Accept-Language': asked });
    expect(page.text).toContain(`<html lang="${language}">`);
    expect(page.text).toContain(`<button type="submit">${word}`);
  }
});

test('the page after it leads back by one button', async () => {
  const page = await api.send('post', `/t/u/${t.tokenOf(1)}`);
  expect(page.text).toContain(`action="../p/${t.tokenOf(1)}"`);
  const undone = await api.send('post', `/t/p/${t.tokenOf(1)}`, {
    body: new URLSearchParams({ do: 'undo', email: 'unknown' }),
  });
  expect(undone.status).toBe(200);
  expect(await t.suppressions()).toEqual([]);
});

test('a removed customer is told that nothing is sent, and no more than that', async () => {
  await api
    .db('customers')
    .where({ id: (await t.message(1)).customer_id })
    .delete();
  const shown = await t.get(`/t/u/${t.tokenOf(1)}`);
  const answer = await api.send('post', `/t/u/${t.tokenOf(1)}`);
  for (const page of [shown, answer]) {
    expect(page.status).toBe(200);
    expect(page.text).toContain('not known here any more');
    expect(page.text).not.toContain('You are unsubscribed');
    expect(page.text).not.toContain('<form');
  }
  expect(await t.suppressions()).toEqual([]);
  expect(await t.stored()).toHaveLength(1);
});

test('counts at the gate: who unsubscribes after the claim is left out of the call', async () => {
  const claim = await t.ledger.claimed();
  await api.send('post', `/t/u/${t.tokenOf(2)}`);
  const gate = await t.ledger.gate(claim);
  expect(gate).toMatchObject({ kind: 'open', leftOut: new Set([2]) });
  expect(await t.message(2)).toMatchObject({ outcome: 'left_out', reason: 'suppressed' });
});

test('a wrong token or an unknown message answers 404 and stops nobody', async () => {
  const paths = [
    ...t.wrongTokens(),
    t.tokenOf(4),
    t.tokenOf(0),
    t.tokenOf(4_294_967_295),
    tokens.token({ runId: t.ledger.campaignId, messageN: 1 }),
  ];
  for (const path of paths) {
    for (const method of ['get', 'post']) {
      const answer = await api.send(method, `/t/u/${path}`);
      expect([path, method, answer.status]).toEqual([path, method, 404]);
    }
  }
  expect(await t.stored()).toEqual([]);
  expect(await t.suppressions()).toEqual([]);
});

test('a mail program is told to try again while the records are away', async () => {
  await withoutDatabase(async (lost) => {
    const answer = await lost.send('post', `/t/u/${t.tokenOf(1)}`, {
      body: new URLSearchParams({ 'List-Unsubscribe': 'One-Click' }),
    });
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '5']);
  });
});

async function addressOf(n: number): Promise<string> {
  const { customer_id: id } = await t.message(n);
  const customer = await api.db('customers').where({ id }).first();
  return customer.email;
}
