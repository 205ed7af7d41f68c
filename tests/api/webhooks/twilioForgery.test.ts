import { loadConfig } from '../../../lib/config';
import { newId } from '../../../lib/ids';
import { startTestApi, type TestApi } from '../../support/api';
import { insertTenant } from '../../support/records';
import {
  postForm,
  publicUrl,
  sid,
  signatureOf,
  twilioAccount,
  type Post,
  type TestAccount,
} from './twilioGround';
import { written } from './written';

let api: TestApi;
let account: TestAccount;
let foreign: TestAccount;

beforeAll(async () => {
  api = await startTestApi({
    // Behind a proxy that is trusted: what it says of the host must not matter.
    config: loadConfig([], { NODE_ENV: 'test', PUBLIC_URL: publicUrl, TRUST_PROXY: 'true' }),
  });
  const tenantId = await insertTenant(api.db);
  await api
    .db('customers')
    .insert({ id: newId(), tenant_id: tenantId, phone: '+4915550001', sms_consent: 'granted' });
  account = await twilioAccount(api, tenantId);
  foreign = await twilioAccount(api, await insertTenant(api.db));
});

afterAll(() => api.stop());

const hooks = {
  // A number that does not exist, and somebody who wants no more: both would suppress.
  status: {
    AccountSid: `AC${'0'.repeat(31)}1`,
    MessageSid: sid('b'),
    MessageStatus: 'undelivered',
    ErrorCode: '30005',
    To: '+4915550001',
    From: '+4930000000',
  },
  inbound: {
    AccountSid: `AC${'0'.repeat(31)}1`,
    MessageSid: sid('c'),
    From: '+4915550001',
    To: '+4930000000',
    Body: 'STOP',
  },
};

type Hook = keyof typeof hooks;

const pathOf = (hook: Hook, id = account.id) => `/webhooks/twilio/${id}/${hook}`;
const encoded = (fields: Record<string, string>) => new URLSearchParams(fields).toString();

/** What is told, the status, the code, and what of the right post is otherwise. */
const refused: [string, number, string, (right: Post, hook: Hook) => Partial<Post>][] = [
  ['no signature', 401, 'invalidSignature', () => ({ signature: null })],
  ['an empty signature', 401, 'invalidSignature', () => ({ signature: '' })],
  ['a signature that is none', 401, 'invalidSignature', () => ({ signature: 'not a signature' })],
  ['another token', 401, 'invalidSignature', () => ({ authToken: newId() })],
  ['a blank token', 401, 'invalidSignature', () => ({ authToken: ' ' })],
  ['another tenant’s token', 401, 'invalidSignature', () => ({ authToken: foreign.authToken })],
  [
    'another tenant’s address',
    401,
    'invalidSignature',
    (_right, hook) => ({ path: pathOf(hook, foreign.id) }),
  ],
  [
    'the address of an account that is none',
    401,
    'invalidSignature',
    (_right, hook) => ({ path: pathOf(hook, newId()) }),
  ],
  [
    'the address of an account with a strange name',
    401,
    'invalidSignature',
    (_right, hook) => ({ path: pathOf(hook, "x'%20or%201=1") }),
  ],
  [
    'the platform’s address when it has no account',
    401,
    'invalidSignature',
    (_right, hook) => ({ path: pathOf(hook, 'twilio') }),
  ],
  [
    'a signature of where it runs, not of where it is public',
    401,
    'invalidSignature',
    (right) => ({ signature: signatureOf({ ...right, base: api.url }) }),
  ],
  [
    'a signature of a host that a header names',
    401,
    'invalidSignature',
    (right) => ({
      signature: signatureOf({ ...right, base: 'https://evil.example' }),
      headers: {
        'X-Forwarded-Host': 'evil.example',
        'X-Forwarded-Proto': 'https',
        Forwarded: 'host=evil.example;proto=https',
      },
    }),
  ],
  [
    'a signature of the other webhook',
    401,
    'invalidSignature',
    (right, hook) => ({
      signature: signatureOf({ ...right, path: pathOf(hook === 'status' ? 'inbound' : 'status') }),
    }),
  ],
  [
    'a signature of another query',
    401,
    'invalidSignature',
    (right) => ({
      path: `${right.path}?k=${newId()}.1.1.1`,
      signature: signatureOf({ ...right, path: `${right.path}?k=${newId()}.1.1.1` }),
    }),
  ],
  [
    'a query that was taken away',
    401,
    'invalidSignature',
    (right) => ({ signature: signatureOf({ ...right, path: `${right.path}?k=1` }) }),
  ],
  [
    'a changed field',
    401,
    'invalidSignature',
    (right) => ({
      fields: `${encoded(asFields(right))}&Body=STOP&To=%2B4915550009`,
      signature: signatureOf(right),
    }),
  ],
  [
    'a field more',
    401,
    'invalidSignature',
    (right) => ({ fields: { ...asFields(right), X: '1' }, signature: signatureOf(right) }),
  ],
  [
    'a field less',
    401,
    'invalidSignature',
    (right) => {
      const { From: _from, ...others } = asFields(right);
      return { fields: others, signature: signatureOf(right) };
    },
  ],
  [
    'bytes that are no UTF-8',
    401,
    'invalidSignature',
    (right) => ({ fields: `${encoded(asFields(right))}%FF`, signature: signatureOf(right) }),
  ],
  ['no fields', 400, 'malformedForm', () => ({ fields: '' })],
  ['fields of nothing known', 400, 'malformedForm', () => ({ fields: { Hello: 'world' } })],
  [
    'a message id that is none',
    400,
    'malformedForm',
    (right) => ({ fields: { ...asFields(right), MessageSid: '1' } }),
  ],
  ['a broken form', 400, 'malformedForm', () => ({ fields: '%%%&&&===&%zz=%' })],
  [
    'a byte over 128 KiB',
    413,
    'bodyTooLarge',
    () => ({ fields: `Body=${'x'.repeat(128 * 1024 - 4)}` }),
  ],
  ['10 MB', 413, 'bodyTooLarge', () => ({ fields: `Body=${'x'.repeat(10_000_000)}` })],
  [
    'JSON',
    415,
    'unsupportedMediaType',
    () => ({ headers: { 'Content-Type': 'application/json' } }),
  ],
  [
    'a packed body',
    415,
    'unsupportedMediaType',
    () => ({ headers: { 'Content-Encoding': 'gzip' } }),
  ],
];

describe.each<Hook>(['status', 'inbound'])('%s', (hook) => {
  const right = (): Post => ({
    path: pathOf(hook),
    fields: hooks[hook],
    authToken: account.authToken,
  });

  test.each(refused)('%s: %d %s, and nothing is written', async (_name, status, code, forge) => {
    const before = await written(api);
    const answer = await postForm(api, { ...right(), ...forge(right(), hook) });
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(await written(api)).toEqual(before);
  });

  test('a GET is not answered here', async () => {
    expect((await api.send('get', pathOf(hook))).status).toBe(405);
  });

  // Last: it writes.
  test('a replay is answered like the first post and writes nothing', async () => {
    const before = await written(api);
    const first = await postForm(api, right());
    const after = await written(api);
    expect(after).not.toEqual(before);
    const second = await postForm(api, right());
    expect([second.status, second.text]).toEqual([first.status, first.text]);
    expect(first.status).toBe(200);
    expect(await written(api)).toEqual(after);
  });
});

test('what is behind the proxy’s own host and port does not matter', async () => {
  const answer = await postForm(api, {
    path: pathOf('status'),
    fields: { ...hooks.status, MessageSid: sid('d') },
    authToken: account.authToken,
    headers: { 'X-Forwarded-Host': 'other.example:8443', 'X-Forwarded-Proto': 'http' },
  });
  expect(answer.status).toBe(200);
});

function asFields({ fields }: Post): Record<string, string> {
  return typeof fields === 'string' ? {} : fields;
}
