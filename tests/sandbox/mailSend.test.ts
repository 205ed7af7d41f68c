import type { Sandbox } from '../../sandbox';
import { api, closeAll, mailClient, mailRequest, openSandbox, sendRaw } from './support';

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await openSandbox();
});
afterAll(closeAll);

const recipients = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ to: [{ email: `person${n}@example.com` }] }));
const inThreeDays = Math.floor(Date.now() / 1_000) + 72 * 3_600;

describe('the vendor client against the sandbox', () => {
  test('a good mail is accepted with an id and nothing else', async () => {
    const [response] = await mailClient(sandbox).send({
      to: 'ana@example.com',
      from: { email: 'shop@example.com', name: 'Shop' },
      subject: 'Hello',
      text: 'Good morning',
      html: '<p>Good morning</p>',
    });
    expect(response.statusCode).toBe(202);
    expect(response.body).toBe('');
    expect(response.headers['x-message-id']).toMatch(/^[\w-]{22}$/);
    expect(response.headers['x-ratelimit-limit']).toBeDefined();
    expect(response.headers['x-ratelimit-remaining']).toBeDefined();
    expect(response.headers['x-ratelimit-reset']).toBeDefined();
  });

  test('a thousand personalizations are one request', async () => {
    const [response] = await mailClient(sandbox).send({
      from: 'shop@example.com',
      subject: 'Hello',
      text: 'Hi',
      personalizations: recipients(1_000),
    });
    const calls = await api<{ items: { messageId: string; recipients: number }[] }>(
      sandbox,
      '/calls',
    );
    expect(calls.items.at(-1)).toMatchObject({
      messageId: response.headers['x-message-id'],
      recipients: 1_000,
      status: 202,
    });
  });

  test('a refusal reaches the caller as the client reports it', async () => {
    const sent = mailClient(sandbox).send({
      to: 'not-an-address',
      from: 'shop@example.com',
      subject: 'Hello',
      text: 'Hi',
    });
    await expect(sent).rejects.toMatchObject({
      code: 400,
      response: {
        body: {
          errors: [
            {
              message: 'Does not contain a valid address.',
              field: 'personalizations.0.to.0.email',
              help: expect.stringContaining('message.personalizations.to'),
            },
          ],
        },
      },
    });
  });

  test('a key that is not one of ours is refused', async () => {
    const strict = await openSandbox({ apiKeys: ['SG.right'] });
    await expect(
      mailClient(strict, 'SG.other').send({
        to: 'ana@example.com',
        from: 'shop@example.com',
        subject: 'Hello',
        text: 'Hi',
      }),
    ).rejects.toMatchObject({ code: 401 });
    expect(
      (await sendRaw(sandbox, mailRequest(), { authorization: 'Bearer nonsense' })).status,
    ).toBe(401);
  });
});

const EMAIL = { email: 'ana@example.com' };
const long = (length: number) => 'x'.repeat(length);

const REFUSED: [string, Record<string, unknown>, string][] = [
  ['no personalizations', { personalizations: undefined }, 'personalizations'],
  ['an empty list of personalizations', { personalizations: [] }, 'personalizations'],
  ['1,001 personalizations', { personalizations: recipients(1_001) }, 'personalizations'],
  [
    '1,001 recipients over to, cc and bcc',
    {
      personalizations: [...recipients(999), { to: [EMAIL], cc: [{ email: 'bo@example.com' }] }],
    },
    'personalizations',
  ],
  [
    'a personalization without to',
    { personalizations: [{ cc: [EMAIL] }] },
    'personalizations.0.to',
  ],
  [
    'an address without domain',
    { personalizations: [{ to: [{ email: 'ana' }] }] },
    'personalizations.0.to.0.email',
  ],
  [
    'a name with a comma',
    { personalizations: [{ to: [{ ...EMAIL, name: 'Shop, Ana' }] }] },
    'personalizations.0.to.0.name',
  ],
  [
    'an address twice in one personalization',
    { personalizations: [{ to: [EMAIL], bcc: [{ email: 'ANA@example.com' }] }] },
    'personalizations.0',
  ],
  [
    'an address twice over personalizations',
    { personalizations: [{ to: [EMAIL] }, { to: [EMAIL] }] },
    'personalizations.1',
  ],
  ['no from', { from: undefined }, 'from.email'],
  ['a from that is not ASCII', { from: { email: 'bücher@example.com' } }, 'from.email'],
  ['no subject anywhere', { subject: undefined }, 'subject'],
  ['an empty subject', { subject: '' }, 'subject'],
  ['no content', { content: undefined }, 'content'],
  ['empty content', { content: [{ type: 'text/plain', value: '' }] }, 'content.0.value'],
  ['content without a type', { content: [{ value: 'x' }] }, 'content.0.type'],
  [
    'HTML before plain text',
    {
      content: [
        { type: 'text/html', value: '<p>x</p>' },
        { type: 'text/plain', value: 'x' },
      ],
    },
    'content',
  ],
  [
    'plain text twice',
    {
      content: [
        { type: 'text/plain', value: 'x' },
        { type: 'text/plain', value: 'y' },
      ],
    },
    'content',
  ],
  [
    'more than 10,000 bytes of substitutions',
    { personalizations: [{ to: [EMAIL], substitutions: { '-a-': long(10_000) } }] },
    'personalizations.0.substitutions',
  ],
  [
    'a substitution that is not a text',
    { personalizations: [{ to: [EMAIL], substitutions: { '-a-': 7 } }] },
    'personalizations.0.substitutions.-a-',
  ],
  [
    '10,000 bytes of custom arguments',
    {
      custom_args: { a: long(5_000) },
      personalizations: [{ to: [EMAIL], custom_args: { b: long(5_000) } }],
    },
    'personalizations.0.custom_args',
  ],
  ['a custom argument that is not a text', { custom_args: { a: { b: 1 } } }, 'custom_args.a'],
  [
    'eleven categories',
    { categories: Array.from({ length: 11 }, (_, n) => `c${n}`) },
    'categories',
  ],
  ['a category twice', { categories: ['a', 'a'] }, 'categories'],
  ['a category of 256 characters', { categories: [long(256)] }, 'categories'],
  ['a reserved header', { headers: { 'Reply-To': 'x@example.com' } }, 'headers.Reply-To'],
  [
    'a reserved header for one recipient',
    { personalizations: [{ to: [EMAIL], headers: { 'x-sg-id': '1' } }] },
    'personalizations.0.headers.x-sg-id',
  ],
  ['a header with a line end', { headers: { 'X-A': 'b\r\nBcc: c' } }, 'headers.X-A'],
  ['sending later than 72 hours from now', { send_at: inThreeDays + 600 }, 'send_at'],
  ['a sending time that is not a number', { send_at: 'tomorrow' }, 'send_at'],
  ['a template of another account', { template_id: 'd-1' }, 'template_id'],
  [
    'an attachment that is not base64',
    { attachments: [{ content: 'ä', filename: 'a' }] },
    'attachments.0.content',
  ],
];

describe('what the vendor refuses', () => {
  test.each(REFUSED)('%s', async (_, change, field) => {
    const before = await api<{ delivered: number }>(sandbox, '/stats');
    const answer = await sendRaw(sandbox, mailRequest(change));
    expect(answer.status).toBe(400);
    expect(answer.errors.map((error) => error.field)).toContain(field);
    expect(Object.keys(answer.errors[0] ?? {}).sort()).toEqual(['field', 'help', 'message']);
    expect((await api<{ delivered: number }>(sandbox, '/stats')).delivered).toBe(before.delivered);
  });

  test('several problems are named at once', async () => {
    const answer = await sendRaw(sandbox, mailRequest({ from: undefined, content: [] }));
    expect(answer.errors.map((error) => error.field)).toEqual(
      expect.arrayContaining(['from.email', 'content']),
    );
  });

  test('no authorization at all', async () => {
    const answer = await sendRaw(sandbox, mailRequest(), { authorization: '' });
    expect(answer).toMatchObject({
      status: 401,
      errors: [{ message: 'authorization required', field: null }],
    });
  });

  test('JSON that is cut off', async () => {
    const answer = await sendRaw(sandbox, '{"from":');
    expect(answer).toMatchObject({ status: 400, errors: [{ message: 'Bad Request' }] });
  });

  test('another content type', async () => {
    const answer = await sendRaw(sandbox, mailRequest(), { 'content-type': 'text/plain' });
    expect(answer.status).toBe(415);
  });

  test('more than 30 MB', async () => {
    const answer = await sendRaw(sandbox, ' '.repeat(31 * 1024 * 1024));
    expect(answer.status).toBe(413);
  });

  test('another method and another path', async () => {
    expect((await fetch(`${sandbox.url}/v3/mail/send`)).status).toBe(405);
    expect((await fetch(`${sandbox.url}/v3/nothing`)).status).toBe(404);
  });
});

describe('what the vendor accepts', () => {
  const ACCEPTED: [string, Record<string, unknown>][] = [
    [
      'a subject in every personalization only',
      { subject: undefined, personalizations: [{ to: [EMAIL], subject: 'x' }] },
    ],
    [
      'substitutions of exactly 10,000 bytes',
      { personalizations: [{ to: [EMAIL], substitutions: { '-a-': long(9_990) } }] },
    ],
    [
      'ten categories of 255 characters',
      { categories: Array.from({ length: 10 }, (_, n) => `${n}${long(254)}`) },
    ],
    ['sending in 72 hours', { send_at: inThreeDays - 5 }],
    [
      'text, HTML and a calendar',
      {
        content: ['text/plain', 'text/html', 'text/calendar'].map((type) => ({ type, value: 'x' })),
      },
    ],
    ['JSON with line ends between its tokens', {}],
  ];
  test.each(ACCEPTED)('%s', async (name, change) => {
    const body = name.startsWith('JSON')
      ? JSON.stringify(mailRequest(), null, '\r\n  ')
      : mailRequest(change);
    expect(await sendRaw(sandbox, body)).toMatchObject({ status: 202 });
  });

  test('its sandbox mode checks, answers 200 and delivers nothing', async () => {
    const before = await api<{ delivered: number }>(sandbox, '/stats');
    const answer = await sendRaw(
      sandbox,
      mailRequest({ mail_settings: { sandbox_mode: { enable: true } } }),
    );
    expect(answer.status).toBe(200);
    expect((await api<{ delivered: number }>(sandbox, '/stats')).delivered).toBe(before.delivered);
  });
});
