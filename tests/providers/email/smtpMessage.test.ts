import { simpleParser } from 'mailparser';
import type { OneEmail } from '../../../providers/email/oneByOne';
import { MailBytes } from '../../../providers/email/mailBytes';
import { writeMessage, type SmtpMessage } from '../../../providers/email/smtpMessage';
import { readReferenceToken, referenceToken } from '../../../providers/email/smtpReference';
import { seededRandom } from '../../../sandbox/chance';
import { api } from '../../sandbox/support';
import { closeSmtp, oneEmail, openMailSandbox } from './smtpSupport';

afterEach(closeSmtp);

const date = new Date('2026-03-01T10:20:30Z');
const boundary = '=_boundary';

function written(changes: Partial<OneEmail>): SmtpMessage {
  const message = writeMessage(oneEmail(changes), { date, boundary });
  if ('of' in message) {
    throw new Error(message.reason);
  }
  return message;
}

const read = (message: SmtpMessage) =>
  simpleParser(message.source, {
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipTextLinks: true,
    skipImageLinks: true,
  });

// Mail knows one line break, CR LF, which programs show as their own.
const withOneLineBreak = (text: string) => text.replaceAll('\r\n', '\n');
const asSpaces = (text: string) => text.replace(/[\r\n\t\0\v]/g, ' ');

const hostileTexts = [
  'plain',
  '',
  ' spaces  on\tboth sides ',
  'Ana "the <admin>" O\'Neill, Ltd.; (x) \\ back',
  'a\r\nBcc: thief@example.com',
  'a\nSubject: other\n\nbody',
  'a\rb\u0000c\vd',
  '=?utf-8?B?QmNjOiB4?= =?iso-8859-1?Q?=0D=0ABcc:_x?=',
  'Zoë Ærøskøbing 東京 मुंबई 👩‍👩‍👧‍👦 ﷽',
  '👍'.repeat(60),
  'é'.repeat(200),
  'x'.repeat(2_000),
  `${'word '.repeat(100)}end`,
  'a@b.example, c@d.example',
  'x>, <thief@example.com',
  '\u202Eright to left\u2028line\u2029paragraph',
  '%s %d {{name}} <%= x %> ${y}',
];

test.each(hostileTexts)('a subject arrives as it was given: %p', async (subject) => {
  const mail = await read(written({ subject }));
  expect(mail.subject ?? '').toBe(asSpaces(subject));
  expect(mail.headers.has('bcc')).toBe(false);
});

test.each(hostileTexts)('a name arrives as it was given: %p', async (name) => {
  const from = { email: 'shop@example.com', name };
  const to = { email: 'ana@example.com', name };
  const mail = await read(written({ from, to }));
  const shown = asSpaces(name);
  expect(mail.from?.value).toEqual([{ address: from.email, name: shown }]);
  expect([mail.to].flat().flatMap((each) => each?.value)).toEqual([
    { address: to.email, name: shown },
  ]);
  expect(mail.headers.has('bcc')).toBe(false);
});

const hostileBodies = [
  ...hostileTexts.filter((text) => text !== ''),
  '.',
  '.\r\n',
  'a\r\n.\r\nMAIL FROM:<thief@example.com>\r\n',
  'a\n.\nb\n..\n...',
  'a\r.\rb',
  'From here on\nFrom there',
  `a\n--${boundary}--\nb\n--${boundary}\nContent-Type: text/html\n\n<b>c</b>`,
  'trailing space \nand tab\t\nlast ',
  '=3D=\r\n=0A soft=',
  '<a href="https://example.com/?a=1&amp;b=%20c">x</a>'.repeat(50),
  'é'.repeat(75),
];

test.each(hostileBodies)('both parts arrive as they were given: %p', async (body) => {
  const unguessable = writeMessage(oneEmail({ html: body, text: body }), {
    date,
    boundary: '=_unguessable',
  });
  const mail = await read('of' in unguessable ? written({}) : unguessable);
  expect(withOneLineBreak(mail.text ?? '')).toBe(withOneLineBreak(body));
  expect(withOneLineBreak(mail.html || '')).toBe(withOneLineBreak(body));
  expect(mail.attachments).toEqual([]);
});

test('a mail without a text has its HTML alone', async () => {
  const mail = await read(written({ text: '' }));
  expect(mail.html).toBe('<p>Good morning</p>');
  expect(mail.text).toBeUndefined();
});

test('a customer without a name is an address', async () => {
  for (const name of [null, '', ' ', '\r\n']) {
    const { source } = written({ to: { email: 'ana@example.com', name } });
    expect(source.toString()).toContain('\r\nTo: ana@example.com\r\n');
  }
});

test('nothing is longer than a line may be, or more than seven bits', () => {
  for (const text of hostileBodies) {
    const { source } = written({
      subject: text,
      html: text,
      text,
      to: { email: 'ana@example.com', name: text },
    });
    const lines = source.toString('latin1').split('\r\n');
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(120);
    expect(lines.every((line) => /^[\x20-\x7e\t]*$/.test(line))).toBe(true);
  }
});

test('a long mail and a short one after it are each written whole', async () => {
  for (const length of [10, 70_000, 200_000, 10]) {
    const html = `<p>${'=é '.repeat(length)}</p>`;
    const mail = await read(written({ html, text: 'Good morning' }));
    expect(mail.html).toBe(html);
    expect(mail.text).toBe('Good morning');
  }
});

test('any text survives the encoding', async () => {
  const random = seededRandom('quoted-printable');
  const bytes = new MailBytes();
  const alphabet = ['a', '=', ' ', '\t', '\n', '\r\n', '\r', '.', 'é', '東', '👍', '\0', 'F', '-'];
  for (let round = 0; round < 300; round += 1) {
    const text = Array.from(
      { length: Math.floor(random() * 200) },
      () => alphabet[Math.floor(random() * alphabet.length)],
    ).join('');
    bytes.begin();
    bytes.appendQuotedPrintable(text);
    const encoded = bytes.copy().toString('latin1');
    const lines = encoded.split('\r\n');
    expect(lines.every((line) => line.length <= 76 && /^[\x21-\x7e \t]*$/.test(line))).toBe(true);
    expect(lines.some((line) => /[ \t]$/.test(line))).toBe(false);
    expect(decodeQuotedPrintable(encoded)).toBe(text.replace(/\r?\n/g, '\r\n'));
  }
});

// RFC 2045 6.7, written down apart from the encoder.
function decodeQuotedPrintable(encoded: string): string {
  const bytes = encoded
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

test.each([
  'ana@example.com>\r\nRCPT TO:<thief@example.com',
  'ana@example.com\r\nBcc: thief@example.com',
  '<ana@example.com>',
  'ana@example.com, thief@example.com',
  'ana <ana@example.com>',
  'ana@example.com> SIZE=1',
  '"ana b"@example.com',
  'änä@example.com',
  'ana@exämple.com',
  'ana@localhost',
  'ana',
  '',
  `${'a'.repeat(65)}@example.com`,
])('the address %p is nothing that mail goes to', async (email) => {
  const { sandbox, provider } = await openMailSandbox();
  expect(await provider.send(oneEmail({ to: { email, name: null } }))).toEqual({
    kind: 'recipientRefused',
    status: 553,
    reason: expect.any(String),
    consequence: 'addressInvalid',
  });
  expect(await provider.send(oneEmail({ from: { email, name: null } }))).toMatchObject({
    kind: 'messageRefused',
  });
  expect(await provider.send(oneEmail({ replyTo: email }))).toMatchObject({
    kind: 'messageRefused',
  });
  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 0 });
});

test.each([
  'https://example.com/>\r\nBcc: x@example.com',
  'https://example.com/a b',
  'https://example.com/>, <https://thief.example',
  'mailto:x@example.com',
  '',
])('the address %p to unsubscribe at makes no header', (unsubscribeUrl) => {
  const message = writeMessage(oneEmail({ unsubscribeUrl }), { date, boundary });
  expect(message).toMatchObject({ of: 'message' });
});

test('the headers say who it is from, how to unsubscribe with one click, and what it is', async () => {
  const reference = {
    runId: '019a1b2c-3d4e-7f50-8a61-728394a5b6c7',
    messageN: 123_456,
    dispatchN: 78,
    attempt: 2,
  };
  const message = written({ reference, replyTo: 'help@example.com' });
  const mail = await read(message);
  const lines = mail.headerLines.map(({ line }) => line);
  expect(lines).toEqual(
    expect.arrayContaining([
      'Date: Sun, 01 Mar 2026 10:20:30 +0000',
      'Message-ID: <019a1b2c3d4e7f508a61728394a5b6c7.2n9c.26.2@example.com>',
      'X-Carillon-Ref: 019a1b2c3d4e7f508a61728394a5b6c7.2n9c.26.2',
      'List-Unsubscribe: <https://example.com/t/u/token>',
      'List-Unsubscribe-Post: List-Unsubscribe=One-Click',
      'Reply-To: help@example.com',
    ]),
  );
  expect(readReferenceToken(message.messageId)).toEqual(reference);
  expect(readReferenceToken(`Undelivered: ${message.messageId}, see above`)).toEqual(reference);
});

test.each([
  '',
  '<abc@example.com>',
  '019a1b2c3d4e7f508a61728394a5b6c7.0.1.1',
  '019a1b2c3d4e7f508a61728394a5b6c7.zzzzzz.1.1',
  '019a1b2c3d4e7f508a61728394a5b6c7.1.1.1.1',
])('%p is no reference of ours', (text) => {
  expect(readReferenceToken(text)).toBeNull();
});

test('references of different messages, dispatches and attempts differ', () => {
  const { reference } = oneEmail();
  const tokens = [
    reference,
    { ...reference, messageN: 8 },
    { ...reference, dispatchN: 4 },
    { ...reference, attempt: 2 },
  ].map(referenceToken);
  expect(new Set(tokens).size).toBe(tokens.length);
});

test('what the inbox shows is what was given', async () => {
  const { sandbox, provider } = await openMailSandbox();
  for (const text of hostileBodies) {
    await api(sandbox, '/messages', 'DELETE');
    const mail = oneEmail({
      subject: `s ${text}`,
      html: text,
      text,
      to: { email: 'ana@example.com', name: `n ${text}` },
    });
    expect(await provider.send(mail)).toMatchObject({ kind: 'accepted' });
    const list = await api<{ items: { id: string; run: string }[] }>(sandbox, '/messages');
    const shown = await api<{ html: string | null; text: string; subject: string }>(
      sandbox,
      `/messages/${list.items[0]?.id}`,
    );
    expect(withOneLineBreak(shown.text)).toBe(withOneLineBreak(text));
    expect(withOneLineBreak(shown.html ?? '')).toBe(withOneLineBreak(text));
    expect(shown).toMatchObject({
      subject: asSpaces(`s ${text}`),
      recipient: { email: 'ana@example.com', name: asSpaces(`n ${text}`) },
      customArgs: { carillon_r: mail.reference.runId, carillon_d: '3.1', carillon_m: '7' },
    });
  }
});
