import { createHmac } from 'node:crypto';
import { isSignedByTwilio, parametersOf } from '../../../providers/twilio/signature';

const authToken = 'token-of-the-account';
const url = 'https://carillon.example/webhooks/twilio?k=019a.1.1.1';
const body = Buffer.from('To=%2B4930123456&MessageStatus=sent&MessageSid=SM1&Body=Gr%C3%BC%C3%9Fe');

// As the vendor's documents say it: the address, then every name and value in the order of names.
function sign(token: string, address: string, fields: [string, string][]): string {
  const text = [...fields]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => name + value);
  return createHmac('sha1', token)
    .update(address + text.join(''))
    .digest('base64');
}

const fields: [string, string][] = [
  ['To', '+4930123456'],
  ['MessageStatus', 'sent'],
  ['MessageSid', 'SM1'],
  ['Body', 'Grüße'],
];
const signature = sign(authToken, url, fields);

test.each([
  ['what was signed', {}, true],
  ['an address with its port written', { url: url.replace('.example', '.example:443') }, true],
  ['another token', { token: 'token-of-another-account' }, false],
  ['no token at all', { token: '', signature: sign('', url, fields) }, false],
  ['another host', { url: url.replace('carillon', 'carillou') }, false],
  ['another scheme', { url: url.replace('https', 'http') }, false],
  ['another key in the query', { url: url.replace('k=019a', 'k=019b') }, false],
  ['a missing query', { url: url.slice(0, url.indexOf('?')) }, false],
  ['a changed value', { body: Buffer.from(body.toString().replace('sent', 'read')) }, false],
  ['a field more', { body: Buffer.concat([body, Buffer.from('&A=1')]) }, false],
  ['a field less', { body: Buffer.from(body.toString().replace('&MessageSid=SM1', '')) }, false],
  ['no signature', { signature: '' }, false],
  ['a cut signature', { signature: signature.slice(0, -1) }, false],
  ['a signature of other bytes', { signature: sign(authToken, `${url}1`, fields) }, false],
])('%s', (_, changed, expected) => {
  const given = { token: authToken, url, body, signature, ...changed };
  const parameters = parametersOf(given.body);
  expect(
    isSignedByTwilio(given.token, { signature: given.signature, url: given.url, parameters }),
  ).toBe(expected);
});

test('fields are read as they were sent, names of the language’s own included', () => {
  expect(parametersOf(Buffer.from('a=1&b=x+y%26&a=2&empty='))).toEqual({
    a: ['1', '2'],
    b: 'x y&',
    empty: '',
  });
  expect(Object.keys(parametersOf(Buffer.from('__proto__=1')))).toEqual(['__proto__']);
});
