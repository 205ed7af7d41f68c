import { NeverLeft, VendorReply } from '../../../providers/http/strictHttp';
import { errorClasses } from '../../../providers/twilio/errorCodes';
import { outcomeOfError } from '../../../providers/twilio/outcome';

const now = Date.parse('2026-11-21T09:00:00.000Z');
const reply = (status: number, code: number | null, headers: Record<string, string> = {}) =>
  outcomeOfError(new VendorReply(status, headers, { code, message: 'said', status }), now);

const suppress = { kind: 'recipientRefused', consequence: 'suppress' };
const invalid = { kind: 'recipientRefused', consequence: 'addressInvalid' };
const none = { kind: 'recipientRefused', consequence: 'none' };
const message = { kind: 'messageRefused' };
const throttled = { kind: 'throttled' };

const expected: [object, number[]][] = [
  [suppress, [21610, 63014]],
  [invalid, [21211, 21614, 21635, 30005, 30006, 63024]],
  [none, [21617, 21619, 30003, 30004, 30007, 30008, 63016, 63049]],
  [message, [20003, 21408, 21601, 21606, 21608, 21612, 30002, 30034, 63021, 99_999]],
  [throttled, [20429, 21611, 30001, 35125, 63017, 63018]],
];

test.each(expected)('%j: %j', (outcome, codes) => {
  for (const code of codes) {
    expect(reply(400, code)).toMatchObject({ ...outcome, status: 400, reason: `${code} said` });
  }
});

test('every code of the table is looked at here', () => {
  const looked = new Set(expected.flatMap(([, codes]) => codes));
  expect(Object.keys(errorClasses).filter((code) => !looked.has(Number(code)))).toEqual([]);
});

test.each([500, 502, 503, 504, 408])(
  '%i is in doubt whatever code it names, even when it says when to come back',
  (status) => {
    expect(reply(status, 20429, { 'retry-after': '3' })).toMatchObject({ kind: 'inDoubt', status });
  },
);

test.each([
  ['seconds', '7', 7_000],
  ['part of a second', '0.5', 500],
  ['no wait at all', '0', 0],
  ['a date', 'Sat, 21 Nov 2026 09:00:30 GMT', 30_000],
  ['a date that is over', 'Sat, 21 Nov 2026 08:00:00 GMT', 0],
  ['nonsense', 'soon', 1_000],
  ['nothing', '', 1_000],
])('429 with Retry-After in %s', (_, retryAfter, retryAfterMs) => {
  const outcome = reply(429, null, retryAfter === '' ? {} : { 'retry-after': retryAfter });
  expect(outcome).toMatchObject({ kind: 'throttled', retryAfterMs });
});

test.each([
  ['a page of a proxy', 403, '<html>Forbidden</html>', 'messageRefused'],
  ['nothing', 404, '', 'messageRefused'],
  ['a redirect', 302, null, 'messageRefused'],
  ['a code that is text', 400, { code: '21610', message: 'x' }, 'messageRefused'],
  ['a page of a balancer', 502, '<html>Bad gateway</html>', 'inDoubt'],
])('an answer that is %s', (_, status, body, kind) => {
  expect(outcomeOfError(new VendorReply(status, {}, body), now)).toMatchObject({ kind, status });
});

const coded = (code: string) => Object.assign(new Error(code), { code });

test.each(['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'CERT_HAS_EXPIRED', 'SOMETHING_NEW'])(
  '%s before there was a connection sent nothing',
  (reason) => {
    expect(outcomeOfError(new NeverLeft(coded(reason)), now)).toMatchObject({
      kind: 'notSent',
      status: null,
      reason,
    });
  },
);

test.each(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'SOMETHING_NEW'])(
  '%s over a connection is in doubt',
  (reason) => {
    expect(outcomeOfError(coded(reason), now)).toEqual({ kind: 'inDoubt', status: null, reason });
  },
);
