import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import twilio from 'twilio';
import type { Sandbox } from '../../../sandbox';
import { api, closeAll, openSandbox } from '../support';
import { accountSid, authToken, basic, callTwilio, createMessage } from './support';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox();
});
afterEach(closeAll);

test('a created message is answered as the vendor writes it', async () => {
  const { status, body } = await createMessage(sandbox, { Body: 'x'.repeat(161) });
  expect(status).toBe(201);
  expect(body).toMatchObject({
    account_sid: accountSid,
    api_version: '2010-04-01',
    body: 'x'.repeat(161),
    date_sent: null,
    direction: 'outbound-api',
    error_code: null,
    from: '+15005550006',
    messaging_service_sid: null,
    num_media: '0',
    num_segments: '2',
    sid: expect.stringMatching(/^SM[\da-f]{32}$/),
    status: 'queued',
    to: '+49301234567',
  });
  expect(body.date_created).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000$/);
});

test('a pool accepts before it queues, and media have ids of their own', async () => {
  const pooled = { From: undefined, MessagingServiceSid: `MG${'a'.repeat(32)}` };
  expect((await createMessage(sandbox, pooled)).body).toMatchObject({
    status: 'accepted',
    from: null,
  });
  const media = await createMessage(sandbox, { MediaUrl: 'https://shop.example/a.png' });
  expect(media.body).toMatchObject({ sid: expect.stringMatching(/^MM/), num_media: '1' });
});

test.each([
  ['no recipient', { To: undefined }, 21604],
  ['no sender', { From: undefined }, 21603],
  ['a sender that is none', { From: 'not a sender, surely' }, 21212],
  ['a sender of another', { From: '+15005550007' }, 21606],
  ['a sender with a full queue', { From: '+15005550008' }, 21611],
  ['a pool that is none', { From: undefined, MessagingServiceSid: 'MG1' }, 21701],
  ['a number without its plus', { To: '49301234567' }, 21211],
  ['the vendor’s invalid number', { To: '+15005550001' }, 21211],
  ['the vendor’s unreachable number', { To: '+15005550002' }, 21612],
  ['the vendor’s number of a closed region', { To: '+15005550003' }, 21408],
  ['the vendor’s blocked number', { To: '+15005550004' }, 21610],
  ['the vendor’s landline', { To: '+15005550009' }, 21614],
  ['a number that names its error', { To: '+15002163542' }, 21635],
  ['channels that differ', { To: 'whatsapp:+49301234567' }, 21910],
  ['nothing to say', { Body: '' }, 21619],
  ['too much to say', { Body: 'x'.repeat(1_601) }, 21617],
  ['media nobody can load', { MediaUrl: 'file:///etc/passwd' }, 21620],
  ['a callback that is no address', { StatusCallback: 'nowhere' }, 21609],
  ['a callback to a host with an underscore', { StatusCallback: 'http://a_b.example/' }, 21609],
  ['variables that are no JSON', { ContentVariables: '{' }, 21656],
  ['a validity that is too long', { ValidityPeriod: '36001' }, 20001],
])('%s is refused', async (_, changes, code) => {
  const { status, body } = await createMessage(sandbox, changes);
  expect({ status, body }).toEqual({
    status: 400,
    body: {
      code,
      message: expect.stringMatching(/\S/),
      more_info: `https://www.twilio.com/docs/errors/${code}`,
      status: 400,
    },
  });
  expect(await api(sandbox, '/stats')).toMatchObject({ delivered: 0, accepted: 0 });
});

describe('only the account itself is let in', () => {
  const other = `AC${'9'.repeat(32)}`;
  test.each([
    ['nobody', accountSid, null],
    ['a wrong token', accountSid, basic(accountSid, 'guess')],
    ['another account', accountSid, basic(other, authToken)],
    ['an account that is not there', other, basic(other, authToken)],
    ['a key that is not known', accountSid, basic('SK1', 'secret')],
    ['a name of the language', accountSid, basic('constructor', 'secret')],
    ['a bearer', accountSid, `Bearer ${authToken}`],
  ])('%s is not', async (_, sid, authorization) => {
    for (const form of [undefined, { To: '+49301234567', From: '+15005550006', Body: 'a' }]) {
      const answer = await callTwilio(sandbox, `${sid}/Messages.json`, {
        authorization,
        ...(form === undefined ? {} : { form }),
      });
      expect(answer).toMatchObject({ status: 401, body: { code: 20003 } });
    }
  });

  test('a key of the account is', async () => {
    const keyed = await openSandbox({
      twilioAccounts: [{ accountSid, authToken, apiKeys: { SK1: 'secret' } }],
    });
    const answer = await callTwilio(keyed, `${accountSid}/Messages.json`, {
      authorization: basic('SK1', 'secret'),
    });
    expect(answer.status).toBe(200);
  });
});

test.each([
  ['GET', `${accountSid}/Calls.json`, 404],
  ['GET', `${accountSid}/Messages/SM${'0'.repeat(32)}.json`, 404],
  ['PUT', `${accountSid}/Messages.json`, 405],
])('%s %s answers %i', async (method, path, status) => {
  expect((await callTwilio(sandbox, path, { method })).status).toBe(status);
});

describe('messages are listed', () => {
  const client = () => {
    const made = twilio(accountSid, authToken, { edge: '', region: '' });
    made.api.baseUrl = sandbox.url;
    return made;
  };

  test('newest first, page after page, and none twice while new ones come', async () => {
    for (let n = 0; n < 7; n += 1) {
      await createMessage(sandbox, { Body: `message ${n}` });
    }
    const first = await client().messages.page({ pageSize: 3 });
    await createMessage(sandbox, { Body: 'a new one' });
    const second = await first.nextPage();
    const third = await second?.nextPage();
    expect([first, second, third].map((page) => page?.instances.map(({ body }) => body))).toEqual([
      ['message 6', 'message 5', 'message 4'],
      ['message 3', 'message 2', 'message 1'],
      ['message 0'],
    ]);
    expect(await third?.nextPage()).toBeUndefined();
  });

  test('by recipient, sender and the time they left', async () => {
    await createMessage(sandbox, { To: '+49301111111' });
    await createMessage(sandbox, { To: '+49302222222' });
    const list = (filter: object) => client().messages.list(filter);
    const hour = 3_600_000;
    const [ago, ahead] = [new Date(Date.now() - hour), new Date(Date.now() + hour)];
    expect(await list({ to: '+49301111111' })).toHaveLength(1);
    expect(await list({ to: '+49303333333' })).toHaveLength(0);
    expect(await list({ from: '+15005550006' })).toHaveLength(2);
    expect(await list({ from: '+15005550001' })).toHaveLength(0);
    expect(await list({ dateSentAfter: ago, dateSentBefore: ahead })).toHaveLength(2);
    expect(await list({ dateSentAfter: ahead })).toHaveLength(0);
    expect(await list({ dateSentBefore: ago })).toHaveLength(0);
  });

  test('what still waits has no time of leaving, and is not found by it', async () => {
    const { body } = await createMessage(sandbox, { To: '+15010000001' });
    const dateSentAfter = new Date(Date.now() - 60_000);
    expect(await client().messages.list({ to: '+15010000001' })).toHaveLength(1);
    expect(await client().messages.list({ to: '+15010000001', dateSentAfter })).toHaveLength(0);
    const { dateSent, status } = await client().messages(String(body.sid)).fetch();
    expect({ dateSent, status }).toEqual({ dateSent: null, status: 'queued' });
  });
});

test('a message can be looked at in the inbox, with what its sender called it', async () => {
  const run = '019a9d00-0000-7000-8000-00000000000a';
  await createMessage(sandbox, {
    Body: 'Your table is ready: https://table.example/7',
    StatusCallback: `http://127.0.0.1:9/hook?k=${run}.3.1.88`,
  });
  const { items } = await api<{ items: { id: string }[] }>(sandbox, `/messages?run=${run}`);
  expect(items).toMatchObject([
    {
      to: '+49301234567',
      from: '+15005550006',
      subject: 'SMS: Your table is ready: https://table.example/7',
      customArgs: { carillon_r: run, carillon_d: '3.1', carillon_m: '88' },
      outcome: 'delivered',
    },
  ]);
  const page = await fetch(`${sandbox.url}/messages/${items[0]?.id}`);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain('Your table is ready');
});

test('messages outlive a restart', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'sandbox-twilio-'));
  const before = await openSandbox({ dataDir });
  const { body } = await createMessage(before, { Body: 'Grüße & "Küsse"\n🔔' });
  await before.close();
  const after = await openSandbox({ dataDir });
  const path = `${accountSid}/Messages/${String(body.sid)}.json`;
  expect((await callTwilio(after, path)).body).toMatchObject({
    body: 'Grüße & "Küsse"\n🔔',
    status: 'delivered',
  });
  await closeAll();
  await rm(dataDir, { recursive: true });
});

test('a sink counts, and keeps nothing', async () => {
  const sink = await openSandbox({ mode: 'sink' });
  expect((await createMessage(sink)).status).toBe(201);
  expect(await api(sink, '/stats')).toMatchObject({ accepted: 1, delivered: 1 });
  expect(await api(sink, '/messages')).toMatchObject({ total: 0 });
});
