import type { TestApi } from '../../support/api';
import { buildTracking, startTrackingApi, withoutDatabase, type TrackingGround } from './ground';

let api: TestApi;
let t: TrackingGround;

beforeAll(async () => {
  api = await startTrackingApi();
});

afterAll(async () => {
  await api.stop();
});

beforeEach(async () => {
  t = await buildTracking(api);
  await changeCustomer({ email: 'Kim@Example.com', phone: '+491701234589' });
});

test('shows the channels the customer has, masked, and changes nothing', async () => {
  await api.db('tenants').where({ id: t.ledger.tenantId }).update({ name: '<i>Bells</i>' });
  const before = await customer();
  const page = await t.get(`/t/p/${t.tokenOf(1)}?utm_source=mail`);
  expect(page.status).toBe(200);
  expect(page.headers.get('Cache-Control')).toBe('no-store');
  expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'none'");
  expect(page.text).toContain('&lt;i&gt;Bells&lt;/i&gt;');
  expect(page.text).toContain('k•••@e•••.com');
  expect(page.text).toContain('+4•••89');
  expect(page.text).not.toMatch(/kim@example|\+4917/i);
  expect(switches(page.text)).toEqual({ email: 'on', sms: 'on', whatsapp: 'on' });
  expect(page.text).not.toContain('<script');
  expect(await customer()).toEqual(before);
  expect(await t.suppressions()).toEqual([]);
  expect(await t.stored()).toEqual([]);
});

test('the page can be used without sight, in its language', async () => {
  for (const language of ['en', 'de', 'fr', 'es']) {
    const { text } = await t.get(`/t/p/${t.tokenOf(1)}`, undefined, {
      'Accept-Language': language,
    });
    expect(text).toContain(`<html lang="${language}">`);
    expect(text.match(/<h1>/g)).toHaveLength(1);
    expect(text).toMatch(/<fieldset>\s*<legend>[^<]+<\/legend>/);
    // Every switch stands in a label with words.
    expect(text.match(/<label><input type="checkbox"[^>]*><span>\p{L}/gu)).toHaveLength(3);
    expect(text).not.toMatch(/undefined|\[object|<script|https?:\/\//);
  }
});

test('offers no channel that the customer has no address on', async () => {
  await changeCustomer({ phone: null });
  const page = await t.get(`/t/p/${t.tokenOf(1)}`);
  expect(switches(page.text)).toEqual({ email: 'on' });
});

test('a channel that is turned off is suppressed and its consent withdrawn', async () => {
  const page = await save({ offered: ['email', 'sms', 'whatsapp'], on: ['email', 'whatsapp'] });
  expect(page.text).toContain('role="status"');
  expect(switches(page.text)).toEqual({ email: 'on', sms: 'off', whatsapp: 'on' });
  expect(await t.suppressions()).toMatchObject([
    { channel: 'sms', address: '+491701234589', reason: 'unsubscribed', run_id: t.ledger.run.id },
  ]);
  expect(await customer()).toMatchObject({
    sms_consent: 'withdrawn',
    sms_consent_source: 'preferencePage',
    sms_consent_at: expect.any(Date),
    email_consent: 'unknown',
    email_consent_at: null,
    whatsapp_consent: 'unknown',
  });
  expect(await t.stored()).toEqual([]);
});

test('the channel of the message that is turned off is a fact of the message', async () => {
  await save({ offered: ['email'], on: [] });
  expect(await t.suppressions()).toMatchObject([
    { channel: 'email', address: 'kim@example.com', reason: 'unsubscribed' },
  ]);
  await t.apply();
  expect((await t.message(1)).unsubscribed_at).toEqual(expect.any(Date));
  expect(await t.ledger.dispatch(1)).toMatchObject({ unsubscribed_count: 1 });
});

test('a channel that is turned on again is granted', async () => {
  await save({ offered: ['email', 'sms'], on: [] });
  const page = await save({ offered: ['email', 'sms'], on: ['email'] });
  expect(switches(page.text)).toEqual({ email: 'on', sms: 'off', whatsapp: 'on' });
  expect(await t.suppressions()).toMatchObject([{ channel: 'sms' }]);
  expect(await customer()).toMatchObject({
    email_consent: 'granted',
    email_consent_source: 'preferencePage',
    sms_consent: 'withdrawn',
  });
});

test('all is turned off at once, and the undo brings back how it was', async () => {
  await changeCustomer({ email_consent: 'granted', email_consent_source: 'import' });
  await save({ offered: ['sms'], on: [] });
  const page = await post({ do: 'allOff' });
  expect(switches(page.text)).toEqual({ email: 'off', sms: 'off', whatsapp: 'off' });
  expect(await t.suppressions()).toHaveLength(3);
  expect(await customer()).toMatchObject({
    email_consent: 'withdrawn',
    sms_consent: 'withdrawn',
    whatsapp_consent: 'withdrawn',
  });

  const undone = await post(undoOf(page.text));
  expect(switches(undone.text)).toEqual({ email: 'on', sms: 'off', whatsapp: 'on' });
  expect(await t.suppressions()).toMatchObject([{ channel: 'sms' }]);
  expect(await customer()).toMatchObject({
    email_consent: 'granted',
    sms_consent: 'withdrawn',
    whatsapp_consent: 'unknown',
  });
});

test('saving what holds already writes nothing', async () => {
  const before = await customer();
  await save({ offered: ['email', 'sms', 'whatsapp'], on: ['email', 'sms', 'whatsapp'] });
  expect(await customer()).toEqual(before);
  expect(await t.suppressions()).toEqual([]);

  await save({ offered: ['email'], on: [] });
  const off = await customer();
  const suppressed = await t.suppressions();
  await save({ offered: ['email'], on: [] });
  expect(await customer()).toEqual(off);
  expect(await t.suppressions()).toEqual(suppressed);
  expect(await t.stored()).toHaveLength(1);
});

test.each(['bounced', 'complained', 'invalid', 'manual'])(
  'an address that stands there as %s stays, whatever is posted',
  async (reason) => {
    await api.db('suppressions').insert({
      tenant_id: t.ledger.tenantId,
      channel: 'email',
      address: 'kim@example.com',
      reason,
    });
    const page = await t.get(`/t/p/${t.tokenOf(1)}`);
    expect(switches(page.text)).toEqual({ email: 'blocked', sms: 'on', whatsapp: 'on' });
    const forms: Record<string, string>[] = [
      { do: 'save', offered: 'email', on: 'email' },
      { do: 'undo', email: 'granted' },
    ];
    for (const form of forms) {
      await post(form);
    }
    expect(await t.suppressions()).toMatchObject([{ reason }]);
    expect(await customer()).toMatchObject({ email_consent: 'unknown' });
  },
);

test('a form that says nothing changes nothing', async () => {
  const before = await customer();
  const forms: Record<string, string>[] = [
    {},
    { do: 'nonsense' },
    { do: '__proto__' },
    { do: 'save', on: 'email' },
    { do: 'undo', email: 'withdrawn', fax: 'off' },
  ];
  for (const form of forms) {
    const page = await post(form);
    expect([form, page.status]).toEqual([form, 200]);
  }
  expect(await customer()).toEqual(before);
  expect(await t.suppressions()).toEqual([]);
});

test('what is no form, or too large a one, is refused', async () => {
  const path = `/t/p/${t.tokenOf(1)}`;
  const json = await api.send('post', path, { json: { do: 'allOff' } });
  const large = await api.send('post', path, {
    body: new URLSearchParams({ do: 'allOff', x: 'x'.repeat(5_000) }),
  });
  expect([json.status, large.status]).toEqual([415, 413]);
  expect(await t.suppressions()).toEqual([]);
});

test('two people who save at once leave one of their wishes', async () => {
  const answers = await Promise.all([
    post({ do: 'allOff' }),
    save({ offered: ['email', 'sms', 'whatsapp'], on: ['email', 'sms', 'whatsapp'] }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  const suppressed = await t.suppressions();
  const { email_consent: consent } = await customer();
  expect([consent === 'withdrawn', suppressed.length]).toEqual([
    suppressed.length > 0,
    suppressed.length > 0 ? 3 : 0,
  ]);
});

test('touches nobody else', async () => {
  const others = await api
    .db('customers')
    .whereNot({ id: await customerId() })
    .orderBy('id');
  await post({ do: 'allOff' });
  expect(
    await api
      .db('customers')
      .whereNot({ id: await customerId() })
      .orderBy('id'),
  ).toEqual(others);
});

test('a removed customer is told that nothing is sent', async () => {
  await api
    .db('customers')
    .where({ id: await customerId() })
    .delete();
  for (const page of [await t.get(`/t/p/${t.tokenOf(1)}`), await post({ do: 'allOff' })]) {
    expect(page.status).toBe(200);
    expect(page.text).toContain('not known here any more');
  }
  expect(await t.suppressions()).toEqual([]);
});

test('a wrong token or an unknown message answers 404 and changes nothing', async () => {
  for (const token of [...t.wrongTokens(), t.tokenOf(4), t.tokenOf(4_294_967_295)]) {
    for (const method of ['get', 'post']) {
      const answer = await api.send(
        method,
        `/t/p/${token}`,
        method === 'get' ? {} : { body: new URLSearchParams({ do: 'allOff' }) },
      );
      expect([token, method, answer.status]).toEqual([token, method, 404]);
    }
  }
  expect(await t.suppressions()).toEqual([]);
});

test('people are asked to come again while the records are away', async () => {
  await withoutDatabase(async (lost) => {
    const answer = await lost.send('post', `/t/p/${t.tokenOf(1)}`, {
      body: new URLSearchParams({ do: 'allOff' }),
    });
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '5']);
  });
});

function post(form: Record<string, string>) {
  return api.send('post', `/t/p/${t.tokenOf(1)}`, { body: new URLSearchParams(form) });
}

function save({ offered, on }: { offered: string[]; on: string[] }) {
  const body = new URLSearchParams({ do: 'save' });
  offered.forEach((channel) => body.append('offered', channel));
  on.forEach((channel) => body.append('on', channel));
  return api.send('post', `/t/p/${t.tokenOf(1)}`, { body });
}

/** How each switch of a page stands. */
function switches(page: string): Record<string, string> {
  const labels: Record<string, string> = { Email: 'email', SMS: 'sms', WhatsApp: 'whatsapp' };
  const found = page.matchAll(/<input type="checkbox"([^>]*)><span>(\w+)/g);
  return Object.fromEntries(
    [...found].map(([, attributes = '', label = '']) => [
      labels[label] ?? label,
      attributes.includes('disabled') ? 'blocked' : attributes.includes('checked') ? 'on' : 'off',
    ]),
  );
}

/** What the undo button of a page posts. */
function undoOf(page: string): Record<string, string> {
  const [, form = ''] = /role="status">([\s\S]*?)<\/form>/.exec(page) ?? [];
  const fields = form.matchAll(/type="hidden" name="(\w+)" value="(\w+)"/g);
  return {
    do: 'undo',
    ...Object.fromEntries([...fields].map(([, name = '', value = '']) => [name, value])),
  };
}

async function customerId(): Promise<unknown> {
  return (await t.message(1))['customer_id'];
}

async function customer(): Promise<Record<string, unknown>> {
  return api
    .db('customers')
    .where({ id: await customerId() })
    .first();
}

async function changeCustomer(changes: Record<string, string | null>) {
  await api
    .db('customers')
    .where({ id: await customerId() })
    .update(changes);
}
