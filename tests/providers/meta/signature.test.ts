import { createHmac } from 'node:crypto';
import {
  answerVerification,
  isSignedByMeta,
  signatureHeader,
} from '../../../providers/meta/signature';

const appSecret = 'e'.repeat(32);
// As the vendor posts it: what is not ASCII is escaped, and that is what is signed.
const body = Buffer.from(
  '{"object":"whatsapp_business_account","entry":[{"name":"Gr\\u00fc\\u00dfe"}]}',
);
const sign = (secret: string, bytes: Buffer) =>
  `sha256=${createHmac('sha256', secret).update(bytes).digest('hex')}`;
const signature = sign(appSecret, body);

test.each([
  ['what was signed', {}, true],
  ['capital letters', { signature: signature.toUpperCase().replace('SHA256', 'sha256') }, true],
  ['another secret', { secret: 'f'.repeat(32) }, false],
  ['no secret at all', { secret: '', signature: sign('', body) }, false],
  ['another byte', { bytes: Buffer.from(`${body.toString()} `) }, false],
  [
    'the same, written anew',
    { bytes: Buffer.from(JSON.stringify(JSON.parse(body.toString()))) },
    false,
  ],
  ['no signature', { signature: '' }, false],
  ['a signature without its name', { signature: signature.slice('sha256='.length) }, false],
  ['the older signature', { signature: `sha1=${signature.slice('sha256='.length)}` }, false],
  ['part of the signature', { signature: signature.slice(0, -2) }, false],
  ['more than the signature', { signature: `${signature}00` }, false],
  ['no hexadecimal digits', { signature: `sha256=${'z'.repeat(64)}` }, false],
])('%s', (_, changes: { secret?: string; bytes?: Buffer; signature?: string }, expected) => {
  const { secret = appSecret, bytes = body, signature: told = signature } = changes;
  expect(isSignedByMeta(secret, bytes, told)).toBe(expected);
});

test('the header is the one of SHA-256', () => {
  expect(signatureHeader).toBe('X-Hub-Signature-256');
});

const own = 'a-token-of-our-own-choice';
const request = { mode: 'subscribe', verifyToken: own, challenge: '1158201444' };

test('an address is verified by its challenge', () => {
  expect(answerVerification(own, request)).toBe('1158201444');
});

test.each([
  ['another token', own, { verifyToken: 'a-token-of-somebody-else' }],
  ['part of the token', own, { verifyToken: own.slice(0, -1) }],
  ['no token', own, { verifyToken: '' }],
  ['an account without a token', undefined, { verifyToken: '' }],
  ['an account with an empty token', '', { verifyToken: '' }],
  ['another mode', own, { mode: 'unsubscribe' }],
  ['no challenge', own, { challenge: '' }],
  ['a challenge that is a page', own, { challenge: '<script>' }],
  ['a challenge that is a book', own, { challenge: '1'.repeat(201) }],
])('%s is refused', (_, token, changes) => {
  expect(answerVerification(token, { ...request, ...changes })).toBeNull();
});
