import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEMO_META_ACCOUNT, type Sandbox } from '../../../sandbox';
import { api, closeAll, openSandbox, setFaults } from '../support';
import {
  callMeta,
  errorOf,
  idOf,
  phoneNumberId,
  run,
  sendMessage,
  template,
  text,
} from './support';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox();
});
afterEach(closeAll);

test('an accepted message is answered as the vendor writes it', async () => {
  const { status, body } = await sendMessage(sandbox);
  expect(status).toBe(200);
  expect(body).toEqual({
    messaging_product: 'whatsapp',
    contacts: [{ input: '+49301234567', wa_id: '49301234567' }],
    messages: [{ id: expect.stringMatching(/^wamid\.[\w=]{20,}$/) }],
  });
});

const media = (type: string, part: object) => ({ type, [type]: part, template: undefined });

test.each([
  ['no JSON', '{', 100, 400],
  ['no object', [], 100, 400],
])('a body that is %s is refused', async (_, json, code, status) => {
  const answer = await callMeta(sandbox, `v25.0/${phoneNumberId}/messages`, { json });
  expect([answer.status, errorOf(answer).code]).toEqual([status, code]);
});

test.each([
  ['no product', { messaging_product: undefined }, 100],
  ['another product', { messaging_product: 'sms' }, 100],
  ['a group', { recipient_type: 'group' }, 100],
  ['no recipient', { to: undefined }, 100],
  ['a recipient that is no number', { to: 'Ana' }, 100],
  ['the sender as recipient', { to: DEMO_META_ACCOUNT.displayPhoneNumber }, 131021],
  ['an unknown type', { type: 'fax' }, 131051],
  ['callback data that is too long', { biz_opaque_callback_data: 'x'.repeat(513) }, 100],
  ['a text without a body', { type: 'text', template: undefined, text: {} }, 100],
  ['an empty text', text(''), 100],
  ['a text that is too long', text('x'.repeat(4_097)), 100],
  ['a template without a language', { template: { name: 'a' } }, 100],
  ['a variable that is empty', template('a', [' ']), 131008],
  ['a variable of two lines', template('a', ['b\nc']), 132018],
  ['a variable with a gap', template('a', ['b     c']), 132018],
  ['a template that is missing', template('missing_one'), 132001],
  ['a template that is paused', template('paused_one'), 132015],
  ['a template that is disabled', template('disabled_one'), 132016],
  ['media nobody can load', media('image', { link: 'file:///etc/passwd' }), 100],
  ['media without an address', media('video', { id: 7 }), 100],
  [
    'a sound with a caption',
    media('audio', { link: 'https://a.example/a.mp3', caption: 'a' }),
    100,
  ],
  ['a number that names its error', { to: '+15001310490' }, 131049],
])('%s is refused', async (_, changes, code) => {
  const answer = await sendMessage(sandbox, changes);
  expect(answer.status).toBe(code === 132001 ? 404 : 400);
  expect(errorOf(answer)).toMatchObject({
    code,
    type: 'OAuthException',
    message: expect.stringMatching(new RegExp(`^\\(#${code}\\) \\S`)),
    fbtrace_id: expect.any(String),
  });
  expect(await api(sandbox, '/stats')).toMatchObject({ delivered: 0, accepted: 0 });
});

describe('only the number’s own token is let in', () => {
  test.each([
    ['nobody', phoneNumberId, null, 401, 190],
    ['a wrong token', phoneNumberId, 'Bearer guess', 401, 190],
    ['another way', phoneNumberId, 'Basic YTpi', 401, 190],
    ['a number that is not there', '999999999999999', undefined, 400, 100],
  ])('%s is not', async (_, number, authorization, status, code) => {
    const init = authorization === undefined ? {} : { authorization };
    for (const answer of [
      await callMeta(sandbox, `v25.0/${number}`, init),
      await callMeta(sandbox, `v25.0/${number}/messages`, { ...init, json: {} }),
    ]) {
      expect([answer.status, errorOf(answer).code]).toEqual([status, code]);
    }
  });

  test('the token of another number is not', async () => {
    const other = { ...DEMO_META_ACCOUNT, phoneNumberId: '300000000000001', accessToken: 'other' };
    const both = await openSandbox({ metaAccounts: [DEMO_META_ACCOUNT, other] });
    const answer = await callMeta(both, `v25.0/${phoneNumberId}`, {
      authorization: 'Bearer other',
    });
    expect([answer.status, errorOf(answer)]).toEqual([
      400,
      expect.objectContaining({ code: 100, error_subcode: 33 }),
    ]);
  });
});

test('a number tells of itself, in any version', async () => {
  const { status, body } = await callMeta(sandbox, `v23.0/${phoneNumberId}?fields=id,status`);
  expect([status, body]).toEqual([
    200,
    expect.objectContaining({ id: phoneNumberId, status: 'CONNECTED' }),
  ]);
});

test.each([
  ['DELETE', `v25.0/${phoneNumberId}`],
  ['GET', `v25.0/${phoneNumberId}/messages`],
  ['POST', `v25.0/${phoneNumberId}`],
])('%s %s is not there', async (method, path) => {
  expect(errorOf(await callMeta(sandbox, path, { method }))).toMatchObject({ code: 100 });
});

describe('templates that were told of', () => {
  beforeEach(() =>
    api(sandbox, '/meta/templates', 'PUT', [
      { name: 'parcel', language: 'de', body: 'Hallo {{1}}, dein Paket {{2}} ist da, {{1}}.' },
      { name: 'named', language: 'en', body: 'Hello {{first_name}}' },
      { name: 'resting', language: 'de', body: 'Hallo', status: 'PAUSED' },
      { name: 'fallen', language: 'de', body: 'Hallo', status: 'DISABLED' },
      { name: 'new', language: 'de', body: 'Hallo', status: 'PENDING' },
      { name: 'long', language: 'de', body: 'x'.repeat(1_015) + '{{1}}' },
    ]),
  );

  test.each([
    [template('parcel', ['Ana']), 132000],
    [template('parcel', ['Ana', '7', 'more']), 132000],
    [template('parcel', ['Ana', '7'], 'en'), 132001],
    [template('resting'), 132015],
    [template('fallen'), 132016],
    [template('new'), 132001],
    [template('long', ['ten letters']), 132005],
    [template('named', ['Ana'], 'en'), 100],
  ])('%j is refused', async (changes, code) => {
    expect(errorOf(await sendMessage(sandbox, changes))).toMatchObject({ code });
  });

  test('are read in the inbox as the customer reads them', async () => {
    await sendMessage(sandbox, template('parcel', ['Ana', '{{1}}']));
    await sendMessage(sandbox, {
      type: 'template',
      template: {
        name: 'named',
        language: { code: 'en' },
        components: [
          {
            type: 'body',
            parameters: [{ type: 'text', parameter_name: 'first_name', text: '$&' }],
          },
        ],
      },
    });
    const { items } = await api<{ items: { id: string }[] }>(sandbox, '/messages');
    const texts = items.map(({ id }) => api<{ text: string }>(sandbox, `/messages/${id}`));
    expect((await Promise.all(texts)).map((message) => message.text)).toEqual([
      'Hello $&',
      'Hallo Ana, dein Paket {{1}} ist da, Ana.',
    ]);
  });

  test('a list that is wrong changes nothing', async () => {
    const wrong = api(sandbox, '/meta/templates', 'PUT', [
      { name: 'NO', language: 'de', body: 'a' },
    ]);
    await expect(wrong).rejects.toThrow('400');
    expect(await api(sandbox, '/meta/templates')).toHaveLength(6);
  });
});

test('a message can be looked at in the inbox, with what its sender called it', async () => {
  await sendMessage(sandbox, {
    ...template('parcel_is_here', ['Ana: https://table.example/7']),
    biz_opaque_callback_data: `${run}.3.1.88`,
  });
  const { items } = await api<{ items: { id: string }[] }>(sandbox, `/messages?run=${run}`);
  expect(items).toMatchObject([
    {
      to: '+49301234567',
      from: phoneNumberId,
      subject: expect.stringMatching(/^WhatsApp: Template parcel_is_here \{\{1\}\} Ana/),
      customArgs: { carillon_r: run, carillon_d: '3.1', carillon_m: '88' },
      outcome: 'delivered',
    },
  ]);
  const page = await fetch(`${sandbox.url}/messages/${items[0]?.id}`);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain('parcel_is_here');
});

test('messages outlive a restart, and what becomes of them does', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'sandbox-meta-'));
  const before = await openSandbox({ dataDir });
  await api(before, '/meta/inbound', 'POST', { from: '+49301234567', body: 'Hi' });
  const id = idOf(await sendMessage(before, text('Grüße & "Küsse"\n🔔')));
  await before.close();
  const after = await openSandbox({ dataDir });
  expect(await api(after, `/messages/${id}.0`)).toMatchObject({
    text: 'Grüße & "Küsse"\n🔔',
    outcome: 'delivered',
  });
  await closeAll();
  await rm(dataDir, { recursive: true });
});

test('a sink counts, and keeps nothing', async () => {
  const sink = await openSandbox({ mode: 'sink' });
  expect((await sendMessage(sink)).status).toBe(200);
  expect(await api(sink, '/stats')).toMatchObject({ accepted: 1, delivered: 1 });
  expect(await api(sink, '/messages')).toMatchObject({ total: 0 });
});

test('the faults of all vendors are met', async () => {
  await setFaults(sandbox, { rate429: 1, retryAfterSeconds: 2 });
  const throttled = await sendMessage(sandbox);
  expect([throttled.status, errorOf(throttled).code]).toEqual([429, 130429]);
  expect(throttled.headers.get('retry-after')).toBe('2');
  await setFaults(sandbox, { rejectRecipients: ['+49301234567'] });
  expect(errorOf(await sendMessage(sandbox))).toMatchObject({ code: 131026 });
  await setFaults(sandbox, { rate5xx: 1, status5xx: 503 });
  const down = await sendMessage(sandbox);
  expect([down.status, errorOf(down).code]).toEqual([503, 2]);
  expect(await api(sandbox, '/stats')).toMatchObject({ delivered: 0 });
});
