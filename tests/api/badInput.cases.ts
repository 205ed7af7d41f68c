import { createPrivateKey, sign } from 'node:crypto';
import type { RequestOptions } from '../support/api';
import { channelCases } from './channelInput.cases';

/** What the requests of the table speak of. */
export interface BadGround {
  token: string;
  viewerToken: string;
  email: string;
  customerId: string;
  campaignId: string;
  othersCustomerId: string;
  othersCampaignId: string;
  privateKeyPem: string;
}

export interface BadCase {
  what: string;
  request(ground: BadGround): { method: string; path: string } & RequestOptions;
  status: number;
  code: string;
  field?: string;
}

export const campaignBody = {
  name: 'Spring sale',
  content: { fromEmail: 'shop@example.com', subject: 'Hello', html: '<p>Hello</p>' },
};

const unknownId = '01999999-9999-7999-8999-999999999999';
const invalid = { status: 422, code: 'validationFailed' } as const;

const post = (path: string, json: unknown) => (ground: BadGround) => ({
  method: 'post',
  path: `/api/v1${path}`,
  token: ground.token,
  json,
});
const get = (path: string) => (ground: BadGround) => ({
  method: 'get',
  path: `/api/v1${path}`,
  token: ground.token,
});

const register = (what: string, change: object, field: string): BadCase => ({
  what: `a registration with ${what}`,
  request: post('/auth/register', {
    companyName: 'Bells',
    email: 'new@example.com',
    password: 'correct horse battery',
    ...change,
  }),
  ...invalid,
  field,
});

const customer = (what: string, json: object, field: string): BadCase => ({
  what: `a customer with ${what}`,
  request: post('/customers', json),
  ...invalid,
  field,
});

const campaign = (what: string, change: object, field: string): BadCase => ({
  what: `a campaign with ${what}`,
  request: post('/campaigns', { ...campaignBody, ...change }),
  ...invalid,
  field,
});

const content = (what: string, change: object, field: string): BadCase =>
  campaign(what, { content: { ...campaignBody.content, ...change } }, field);

const localHour = { kind: 'localHour', date: dayFromNow(3), time: '09:00' };
const schedule = (what: string, given: unknown, field: string): BadCase => ({
  what: `a schedule with ${what}`,
  request: (ground) =>
    post(`/campaigns/${ground.campaignId}/schedule`, { schedule: given })(ground),
  ...invalid,
  field,
});

const upload = (
  what: string,
  file: string | Uint8Array<ArrayBuffer>,
  code: string,
  type = 'text/csv',
): BadCase => ({
  what: `an upload of ${what}`,
  request(ground) {
    const form = new FormData();
    form.set('file', new File([file], 'customers.csv', { type }));
    return { method: 'post', path: '/api/v1/customers/upload', token: ground.token, body: form };
  },
  status: code === 'wrongFileType' ? 415 : 422,
  code: code === 'wrongFileType' ? code : 'validationFailed',
  field: 'file',
});

const others = (
  what: string,
  method: string,
  path: (ground: BadGround) => string,
  code: string,
  json?: unknown,
): BadCase => ({
  what: `another tenant's id: ${what}`,
  request: (ground) => ({
    method,
    path: `/api/v1${path(ground)}`,
    token: ground.token,
    ...(json === undefined ? {} : { json }),
  }),
  status: 404,
  code,
});

export const badCases: BadCase[] = [
  ...channelCases,
  register('no e-mail', { email: undefined }, 'email'),
  register('an e-mail that is none', { email: 'not an address' }, 'email'),
  register('a short password', { password: 'short' }, 'password'),
  register('a password of 200 characters', { password: 'x'.repeat(200) }, 'password'),
  register('a number as company name', { companyName: 7 }, 'companyName'),
  register('an abbreviation as zone', { timeZone: 'CET' }, 'timeZone'),
  register('a role nobody asked for', { role: 'platformAdmin' }, 'role'),
  {
    what: 'a registration with an address that is taken',
    request: (ground) =>
      post('/auth/register', {
        companyName: 'Bells',
        email: ground.email.toUpperCase(),
        password: 'correct horse battery',
      })(ground),
    status: 409,
    code: 'emailTaken',
  },
  {
    what: 'a login with a wrong password',
    request: (ground) => post('/auth/login', { email: ground.email, password: 'wrong' })(ground),
    status: 401,
    code: 'wrongCredentials',
  },
  {
    what: 'a request without a token',
    request: () => ({ method: 'get', path: '/api/v1/customers' }),
    status: 401,
    code: 'tokenMissing',
  },
  {
    what: 'a forged token',
    request: (ground) => ({
      method: 'get',
      path: '/api/v1/customers',
      token: `${ground.token.slice(0, -4)}AAAA`,
    }),
    status: 401,
    code: 'tokenInvalid',
  },
  {
    what: "a viewer's change",
    request: (ground) => ({
      ...post('/campaigns', campaignBody)(ground),
      token: ground.viewerToken,
    }),
    status: 403,
    code: 'forbidden',
  },
  {
    what: 'a body that is not JSON',
    request: (ground) => ({
      method: 'post',
      path: '/api/v1/customers',
      token: ground.token,
      body: '{"email":',
      headers: { 'Content-Type': 'application/json' },
    }),
    status: 400,
    code: 'malformedJson',
  },
  {
    what: 'a body of another type',
    request: (ground) => ({
      method: 'post',
      path: '/api/v1/customers',
      token: ground.token,
      body: 'email=a@example.com',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    }),
    status: 415,
    code: 'unsupportedMediaType',
  },
  {
    what: 'a body over a mebibyte',
    request: post('/customers', { email: 'a@example.com', firstName: 'x'.repeat(1_100_000) }),
    status: 413,
    code: 'bodyTooLarge',
  },
  {
    what: 'a path that does not exist',
    request: get('/carillons'),
    status: 404,
    code: 'routeNotFound',
  },

  customer('nothing to know it by', {}, 'email'),
  customer('an e-mail that is none', { email: 'a@b@c' }, 'email'),
  customer('a number as e-mail', { email: 12 }, 'email'),
  customer('a phone that is not E.164', { email: 'a@example.com', phone: '030 123' }, 'phone'),
  customer('an unknown zone', { email: 'a@example.com', timeZone: 'Mars/Base' }, 'timeZone'),
  customer('an offset as zone', { email: 'a@example.com', timeZone: '+02:00' }, 'timeZone'),
  customer('an abbreviation as zone', { email: 'a@example.com', timeZone: 'EST' }, 'timeZone'),
  customer('a language that is none', { email: 'a@example.com', language: 'english!' }, 'language'),
  customer('a list as attributes', { email: 'a@example.com', attributes: [] }, 'attributes'),
  customer('51 tags', { email: 'a@example.com', tags: tagsOf(51) }, 'tags'),
  customer('a tag that is a number', { email: 'a@example.com', tags: [1] }, 'tags.0'),
  customer('a NUL character', { email: 'a@example.com', firstName: 'a\0b' }, 'firstName'),
  customer('a field that does not exist', { email: 'a@example.com', shoe: 42 }, 'shoe'),
  {
    what: 'a customer with 2,000 NUL characters under a key of 50,000',
    request: post('/customers', { [`k${'é'.repeat(50_000)}`]: Array(2_000).fill('\0') }),
    ...invalid,
    field: `k${'é'.repeat(98)}….0`,
  },
  {
    what: 'a customer with 50,000 fields that do not exist',
    request: post('/customers', keysOf(50_000)),
    ...invalid,
    field: 'key0',
  },
  {
    what: 'a customer with 5,000 traps as keys',
    request: post('/customers', { attributes: { a: keysOf(5_000, '\u0001\0'.repeat(4)) } }),
    ...invalid,
    field: `attributes.a.${'\u{FFFD}'.repeat(8)}key0`,
  },
  customer(
    '300,000 objects in an attribute',
    { email: 'a@example.com', attributes: { a: Array(300_000).fill({}) } },
    'attributes.a',
  ),
  {
    what: 'a resume with 2,000 traps nested under long ones',
    request: (ground) =>
      post(`/campaigns/${ground.campaignId}/resume`, nested(60, keysOf(2_000, '\0')))(ground),
    ...invalid,
    field: `${Array(2)
      .fill('k'.repeat(99) + '…')
      .join('.')
      .slice(0, 199)}…`,
  },
  {
    what: 'a deletion with 50,000 keys in its body',
    request: (ground) => ({
      method: 'delete',
      path: `/api/v1/customers/${ground.customerId}`,
      token: ground.token,
      json: keysOf(50_000),
    }),
    ...invalid,
    field: 'key0',
  },
  {
    what: 'a customer whose address is taken',
    request: post('/customers', { email: 'TAKEN@example.com' }),
    status: 409,
    code: 'emailTaken',
  },
  {
    what: 'an unknown customer',
    request: get(`/customers/${unknownId}`),
    status: 404,
    code: 'customerNotFound',
  },
  {
    what: 'an id that is none',
    request: get('/customers/7'),
    status: 404,
    code: 'customerNotFound',
  },
  ...[
    '1899-12-31T23:59:59Z',
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:00:00-05:00',
    daysAhead(2),
  ].map((at) =>
    customer(
      `a consent of ${at}`,
      { email: 'a@example.com', consent: { email: { status: 'granted', at } } },
      'consent.email.at',
    ),
  ),
  ...['0000-12-31T23:59:59Z', '0001-01-01T00:00:00+05:00', '9999-12-31T23:00:00-05:00'].map(
    (at) => ({
      what: `customers created before ${at}`,
      request: get(`/customers?createdBefore=${encodeURIComponent(at)}`),
      ...invalid,
      field: 'createdBefore',
    }),
  ),
  { what: 'a page of 500', request: get('/customers?perPage=500'), ...invalid, field: 'perPage' },
  { what: 'page zero', request: get('/customers?page=0'), ...invalid, field: 'page' },
  { what: 'an unknown sort', request: get('/customers?sort=shoe'), ...invalid, field: 'sort' },
  { what: 'an unknown field', request: get('/customers?fields=shoe'), ...invalid, field: 'fields' },
  { what: 'an unknown filter', request: get('/customers?shoe=42'), ...invalid, field: 'shoe' },
  {
    what: 'a cursor nobody gave',
    request: get('/customers?cursor=AAAA'),
    status: 400,
    code: 'malformedCursor',
  },
  others(
    'reading a customer',
    'get',
    (g) => `/customers/${g.othersCustomerId}`,
    'customerNotFound',
  ),
  others(
    'deleting a customer',
    'delete',
    (g) => `/customers/${g.othersCustomerId}`,
    'customerNotFound',
  ),
  others(
    'changing a campaign',
    'patch',
    (g) => `/campaigns/${g.othersCampaignId}`,
    'campaignNotFound',
    { name: 'Mine now' },
  ),
  others(
    'scheduling a campaign',
    'post',
    (g) => `/campaigns/${g.othersCampaignId}/schedule`,
    'campaignNotFound',
    { schedule: { kind: 'now' } },
  ),
  others(
    'pausing a campaign',
    'post',
    (g) => `/campaigns/${g.othersCampaignId}/pause`,
    'campaignNotFound',
  ),
  others(
    'its messages',
    'get',
    (g) => `/campaigns/${g.othersCampaignId}/messages`,
    'campaignNotFound',
  ),
  others(
    'its metrics',
    'get',
    (g) => `/campaigns/${g.othersCampaignId}/metrics`,
    'campaignNotFound',
  ),

  upload('nothing', '', 'emptyFile'),
  upload('a header alone that names nothing', 'shoe,size\n1,2\n', 'noUsableColumn'),
  upload('a quote that is never closed', 'email\n"a@example.com\n', 'quoteNotClosed'),
  upload(
    'another encoding',
    new Uint8Array([101, 109, 97, 105, 108, 10, 0xff, 0xfe, 0x41]),
    'notUtf8',
  ),
  {
    what: 'an upload without a file',
    request: (ground) => ({
      method: 'post',
      path: '/api/v1/customers/upload',
      token: ground.token,
      body: new FormData(),
    }),
    ...invalid,
    field: 'file',
  },

  campaign('no name', { name: '' }, 'name'),
  campaign('a channel that does not exist', { channel: 'pigeon' }, 'channel'),
  campaign('a text as audience', { audience: 'everyone' }, 'audience'),
  campaign(
    'a customer id that is none',
    { audience: { customerIds: ['7'] } },
    'audience.customerIds.0',
  ),
  content('no subject', { subject: undefined }, 'content.subject'),
  content('a line break in the sender', { fromName: 'a\r\nBcc: b' }, 'content.fromName'),
  content('a sender that is no address', { fromEmail: 'shop' }, 'content.fromEmail'),
  content('an unclosed tag', { html: '{% if customer.email %}<p>' }, 'content.html'),
  content('an unknown merge field', { subject: '{{ customer.shoe }}' }, 'content.subject'),
  content('an unknown filter', { html: '{{ customer.email | explode }}' }, 'content.html'),
  content('an include', { text: "{% include 'passwd' %}" }, 'content.text'),
  {
    what: 'an If-Match of another version',
    request: (ground) => ({
      method: 'patch',
      path: `/api/v1/campaigns/${ground.campaignId}`,
      token: ground.token,
      json: { name: 'Later' },
      headers: { 'If-Match': '"another"' },
    }),
    status: 412,
    code: 'changedMeanwhile',
  },

  schedule('nothing in it', {}, 'schedule.kind'),
  schedule('an unknown kind', { kind: 'someday' }, 'schedule.kind'),
  schedule('a past instant', { kind: 'instant', at: '2020-01-01T09:00:00Z' }, 'schedule.at'),
  schedule(
    'an instant without an offset',
    { kind: 'instant', at: '2030-01-01T09:00:00' },
    'schedule.at',
  ),
  schedule(
    'an instant too far ahead',
    { kind: 'instant', at: '2099-01-01T09:00:00Z' },
    'schedule.at',
  ),
  schedule('a day that does not exist', { ...localHour, date: '2027-02-30' }, 'schedule.date'),
  schedule('an hour that does not exist', { ...localHour, time: '25:00' }, 'schedule.time'),
  schedule(
    'a policy that does not exist',
    { ...localHour, hourPast: 'whenever' },
    'schedule.hourPast',
  ),
  schedule('a window of a minute', { kind: 'now', windowMinutes: 1 }, 'schedule.windowMinutes'),
  schedule(
    'a day long past that skips',
    { ...localHour, date: '2020-01-01', hourPast: 'skip' },
    'schedule.date',
  ),
  {
    what: 'a pause of a campaign that is not on its way',
    request: (ground) => post(`/campaigns/${ground.campaignId}/pause`, {})(ground),
    status: 409,
    code: 'campaignNotScheduled',
  },
  {
    what: 'an unknown campaign',
    request: post(`/campaigns/${unknownId}/send`, {}),
    status: 404,
    code: 'campaignNotFound',
  },

  {
    what: 'an idempotency key with another body',
    request: (ground) => ({
      ...post('/customers', { email: 'second@example.com' })(ground),
      headers: { 'Idempotency-Key': 'used-before' },
    }),
    status: 409,
    code: 'idempotencyKeyReused',
  },
  {
    what: 'an idempotency key of 300 characters',
    request: (ground) => ({
      ...post('/customers', { email: 'second@example.com' })(ground),
      headers: { 'Idempotency-Key': 'k'.repeat(300) },
    }),
    ...invalid,
    field: 'Idempotency-Key',
  },
  {
    // Whoever sends one means to be safe against repetition, and would not be.
    what: 'an idempotency key that is empty',
    request: (ground) => ({
      ...post('/customers', { email: 'second@example.com' })(ground),
      headers: { 'Idempotency-Key': '' },
    }),
    ...invalid,
    field: 'Idempotency-Key',
  },
  {
    what: 'a webhook without a signature',
    request: () => webhook('[]', {}),
    status: 401,
    code: 'invalidSignature',
  },
  {
    what: 'a webhook whose body was changed after signing',
    request: (ground) => webhook('[ ]', signed(ground, '[]', Date.now())),
    status: 401,
    code: 'invalidSignature',
  },
  {
    what: 'a webhook that was signed two days ago',
    request: (ground) => webhook('[]', signed(ground, '[]', Date.now() - 48 * 3_600_000)),
    status: 401,
    code: 'staleSignature',
  },
  {
    what: 'a signed webhook that is no list',
    request: (ground) => webhook('{}', signed(ground, '{}', Date.now())),
    status: 400,
    code: 'notAnArray',
  },
  {
    what: 'a signed webhook that is not JSON',
    request: (ground) => webhook('[', signed(ground, '[', Date.now())),
    status: 400,
    code: 'malformedJson',
  },
];

function webhook(body: string, headers: Record<string, string>) {
  return {
    method: 'post',
    path: '/webhooks/sendgrid',
    body,
    headers: { 'Content-Type': 'application/json', ...headers },
  };
}

function signed(ground: BadGround, body: string, atMs: number): Record<string, string> {
  const timestamp = String(Math.floor(atMs / 1000));
  const signature = sign(
    'sha256',
    Buffer.from(timestamp + body),
    createPrivateKey(ground.privateKeyPem),
  );
  return {
    'X-Twilio-Email-Event-Webhook-Signature': signature.toString('base64'),
    'X-Twilio-Email-Event-Webhook-Timestamp': timestamp,
  };
}

function keysOf(count: number, before = ''): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`${before}key${i}`, i]));
}

function nested(depth: number, inner: object): object {
  return depth === 0 ? inner : { ['k'.repeat(4_000)]: nested(depth - 1, inner) };
}

function tagsOf(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `tag${i}`);
}

function daysAhead(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString();
}

function dayFromNow(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}
