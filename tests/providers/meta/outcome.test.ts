import { NeverLeft, VendorReply } from '../../../providers/http/strictHttp';
import { errorClasses } from '../../../providers/meta/errorCodes';
import { outcomeOfError } from '../../../providers/meta/outcome';

const now = Date.parse('2026-11-21T09:00:00.000Z');
const reply = (
  status: number,
  code: number | null,
  { headers = {}, error = {} }: { headers?: Record<string, string>; error?: object } = {},
) =>
  outcomeOfError(
    new VendorReply(status, headers, { error: { code, message: `(#${code}) said`, ...error } }),
    now,
  );

const suppress = { kind: 'recipientRefused', consequence: 'suppress' };
const none = { kind: 'recipientRefused', consequence: 'none' };
const message = { kind: 'messageRefused' };

const expected: [object, number[]][] = [
  [suppress, [131050]],
  [none, [130472, 130497, 131021, 131026, 131047, 131049, 132005, 132018]],
  [{ kind: 'notSent', onlyRecipient: true, retryAfterMs: 6_000 }, [131056]],
  [message, [0, 3, 10, 33, 100, 190, 200, 299, 368, 131005, 131008, 131009]],
  [message, [131030, 131031, 131037, 131042, 131045, 131048, 131051, 131052, 131053, 131055]],
  [message, [132000, 132001, 132007, 132012, 132015, 132016, 132068, 132069]],
  [message, [133000, 133005, 133006, 133008, 133009, 133010, 133015, 134011, 139_999]],
  [{ kind: 'throttled', retryAfterMs: 1_000 }, [613, 130429]],
  [{ kind: 'throttled', retryAfterMs: 60_000 }, [4, 80007, 131057]],
  [{ kind: 'inDoubt' }, [1, 2, 131000, 131016, 133004, 135000]],
];

test.each(expected)('%j: %j', (outcome, codes) => {
  for (const code of codes) {
    const told = { status: 400, reason: `${code} said` };
    expect(reply(400, code)).toEqual({ ...outcome, ...told });
  }
});

test('every code of the table is looked at here', () => {
  const looked = new Set(expected.flatMap(([, codes]) => codes));
  expect(Object.keys(errorClasses).filter((code) => !looked.has(Number(code)))).toEqual([]);
});

test.each([3, 131045, 190])('%i says what it is about, whatever its status', (code) => {
  expect(reply(500, code)).toMatchObject({ kind: 'messageRefused', status: 500 });
});

test.each([500, 502, 503, 504, 408])(
  '%i with an error nobody has heard of is in doubt, even when it says when to come back',
  (status) => {
    const headers = { 'retry-after': '3' };
    expect(reply(status, 139_999, { headers })).toMatchObject({ kind: 'inDoubt', status });
  },
);

test('the reason has the details, on one line', () => {
  const error = {
    message: '(#100) Invalid\u0000parameter',
    error_data: { details: 'to\nis wrong' },
  };
  expect(reply(400, 100, { error })).toMatchObject({
    reason: '100 Invalid parameter: to is wrong',
  });
});

const usage = (...minutes: unknown[]) =>
  JSON.stringify({
    '102290129340398': minutes.map((estimated_time_to_regain_access) => ({
      type: 'whatsapp',
      call_count: 100,
      estimated_time_to_regain_access,
    })),
  });

test.each([
  ['the seconds it asks for', { 'retry-after': '7' }, 7_000],
  ['the minutes of the usage', { 'x-business-use-case-usage': usage(0, 5) }, 300_000],
  ['what it asks for first', { 'retry-after': '7', 'x-business-use-case-usage': usage(5) }, 7_000],
  ['at most a day', { 'x-business-use-case-usage': usage(1e9) }, 86_400_000],
  ['a minute where nothing is said', { 'x-business-use-case-usage': usage(0) }, 60_000],
  ['a minute for nonsense', { 'x-business-use-case-usage': usage('soon', null, {}) }, 60_000],
  ['a minute for what is no JSON', { 'x-business-use-case-usage': '{' }, 60_000],
])('an allowance that is used up waits %s', (_, headers, retryAfterMs) => {
  expect(reply(400, 80007, { headers })).toMatchObject({ kind: 'throttled', retryAfterMs });
});

test.each([
  ['a page of a proxy', 403, '<html>Forbidden</html>', 'messageRefused'],
  ['nothing', 404, '', 'messageRefused'],
  ['a redirect', 302, null, 'messageRefused'],
  ['a code that is text', 400, { error: { code: '131050' } }, 'messageRefused'],
  ['an error that is text', 400, { error: 'no' }, 'messageRefused'],
  ['too many calls without a code', 429, '', 'throttled'],
  ['a page of a balancer', 502, '<html>Bad gateway</html>', 'inDoubt'],
])('an answer that is %s', (_, status, body, kind) => {
  expect(outcomeOfError(new VendorReply(status, {}, body), now)).toMatchObject({ kind, status });
});

const coded = (code: string) => Object.assign(new Error(code), { code });

test('what never left was not sent, and what did is in doubt', () => {
  expect(outcomeOfError(new NeverLeft(coded('ENOTFOUND')), now)).toEqual({
    kind: 'notSent',
    status: null,
    reason: 'ENOTFOUND',
    retryAfterMs: 5_000,
  });
  expect(outcomeOfError(coded('ECONNRESET'), now)).toEqual({
    kind: 'inDoubt',
    status: null,
    reason: 'ECONNRESET',
  });
});
