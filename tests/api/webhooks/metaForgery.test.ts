import { startTestApi, type TestApi } from '../../support/api';
import { insertTenant } from '../../support/records';
import {
  anySecret,
  bodyOf,
  messageOf,
  metaAccount,
  postMeta,
  signatureOf,
  type Post,
  type TestNumber,
} from './metaGround';
import { written } from './written';

let api: TestApi;
let number: TestNumber;
let foreign: TestNumber;

beforeAll(async () => {
  api = await startTestApi();
  number = await metaAccount(api, await insertTenant(api.db));
  foreign = await metaAccount(api, await insertTenant(api.db), {
    phoneNumberId: '100000000000009',
    appSecret: anySecret(),
  });
});

afterAll(() => api.stop());

const mebibyte = 1024 * 1024;

/** Somebody who wants no more: whoever could forge it could stop anybody. */
const stop = () => bodyOf(number.phoneNumberId, { messages: [messageOf('+4915550001', 'STOP')] });
const right = (): Post => ({ accountId: number.id, body: stop(), appSecret: number.appSecret });

const refused: [string, number, string, (right: Post) => Partial<Post>][] = [
  ['no signature', 401, 'invalidSignature', () => ({ signature: null })],
  ['an empty signature', 401, 'invalidSignature', () => ({ signature: '' })],
  ['a signature that is none', 401, 'invalidSignature', () => ({ signature: 'sha256=' })],
  [
    'zeros for a signature',
    401,
    'invalidSignature',
    () => ({ signature: `sha256=${'0'.repeat(64)}` }),
  ],
  [
    'the older kind of signature',
    401,
    'invalidSignature',
    ({ body, appSecret }) => ({
      signature: signatureOf(body, appSecret).replace('sha256', 'sha1'),
    }),
  ],
  [
    'a signature a digit longer',
    401,
    'invalidSignature',
    ({ body, appSecret }) => ({ signature: `${signatureOf(body, appSecret)}0` }),
  ],
  ['another secret', 401, 'invalidSignature', () => ({ appSecret: anySecret() })],
  ['another tenant’s secret', 401, 'invalidSignature', () => ({ appSecret: foreign.appSecret })],
  ['another tenant’s address', 401, 'invalidSignature', () => ({ accountId: foreign.id })],
  ['an account that is none', 401, 'invalidSignature', () => ({ accountId: anySecret() })],
  [
    'a signature of another body',
    401,
    'invalidSignature',
    ({ appSecret }) => ({ signature: signatureOf(stop(), appSecret) }),
  ],
  [
    'a body one byte longer',
    401,
    'invalidSignature',
    ({ body, appSecret }) => ({ body: `${body}\n`, signature: signatureOf(body, appSecret) }),
  ],
  [
    'a body with one letter changed',
    401,
    'invalidSignature',
    ({ body, appSecret }) => ({
      body: body.replace('STOP', 'STOp'),
      signature: signatureOf(body, appSecret),
    }),
  ],
  ['broken JSON', 400, 'malformedJson', () => ({ body: '{"object":"whatsapp_business_acc' })],
  ['no body', 400, 'malformedJson', () => ({ body: '' })],
  ['a list', 400, 'malformedJson', ({ body }) => ({ body: `[${body}]` })],
  ['a number', 400, 'malformedJson', () => ({ body: '7' })],
  ['null', 400, 'malformedJson', () => ({ body: 'null' })],
  ['a byte over 4 MiB', 413, 'bodyTooLarge', () => ({ body: sized(4 * mebibyte + 1) })],
  ['10 MB', 413, 'bodyTooLarge', () => ({ body: sized(10_000_000) })],
  [
    'a form',
    415,
    'unsupportedMediaType',
    () => ({ headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }),
  ],
  [
    'a packed body',
    415,
    'unsupportedMediaType',
    () => ({ headers: { 'Content-Encoding': 'gzip' } }),
  ],
];

test.each(refused)('%s: %d %s, and nothing is written', async (_name, status, code, forge) => {
  const before = await written(api);
  const post = right();
  const answer = await postMeta(api, { ...post, ...forge(post) });
  expect([answer.status, answer.body.code]).toEqual([status, code]);
  expect(await written(api)).toEqual(before);
});

test.each([
  ['of nothing', '{}'],
  ['of another product', '{"object":"page","entry":[{"messaging":[]}]}'],
  ['of entries that are none', '{"object":"whatsapp_business_account","entry":[1,null,{}]}'],
  [
    'that nests deeper than anybody reads',
    `{"object":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
  ],
])('a signed post %s is taken and writes nothing', async (_name, body) => {
  const before = await written(api);
  const answer = await postMeta(api, { ...right(), body });
  expect([answer.status, answer.body.data.stored]).toEqual([200, 0]);
  expect(await written(api)).toEqual(before);
});

test('a replay is answered alike and writes nothing', async () => {
  const post = right();
  const first = await postMeta(api, post);
  expect([first.status, first.body.data]).toEqual([200, { received: 1, stored: 1, skipped: 0 }]);
  const before = await written(api);
  const second = await postMeta(api, post);
  expect([second.status, second.body.data]).toEqual([200, { received: 1, stored: 0, skipped: 0 }]);
  expect(await written(api)).toEqual(before);
});

function sized(bytes: number): string {
  return `["${'x'.repeat(bytes - 4)}"]`;
}
