import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWebhookKeys, type SandboxOptions } from '../../sandbox';
import { isLoopback } from '../../sandbox/visits';
import {
  api,
  closeAll,
  eventually,
  mailRequest,
  openReceiver,
  openSandbox,
  sendRaw,
  sendTo,
  setFaults,
} from './support';

const keys = createWebhookKeys();

afterEach(closeAll);

async function openBoth(options: Partial<SandboxOptions> = {}) {
  const receiver = await openReceiver(keys.publicKeyBase64);
  const webhook = { url: receiver.hook, privateKeyPem: keys.privateKeyPem };
  const sandbox = await openSandbox({ webhook, ...options });
  return { receiver, webhook, sandbox };
}

const flush = (sandbox: Awaited<ReturnType<typeof openSandbox>>) =>
  api<{ posted: number; failed: number }>(sandbox, '/events/flush', 'POST');

test('posts are signed over timestamp and raw body, line end included', async () => {
  const { receiver, sandbox } = await openBoth();
  const answer = await sendTo(sandbox, ['ana@example.com', 'bo@example.com'], {
    categories: ['spring'],
    custom_args: { carillon_d: 'dispatch-7' },
  });
  await eventually(() => receiver.posts.length === 2);
  expect(receiver.posts.every((post) => post.signed)).toBe(true);
  expect(receiver.posts[0]?.raw.endsWith(']\r\n')).toBe(true);
  const messageId = answer.headers.get('x-message-id');
  const [processed] = receiver.events();
  expect(processed).toMatchObject({
    event: 'processed',
    email: 'ana@example.com',
    category: 'spring',
    carillon_d: 'dispatch-7',
    'smtp-id': expect.stringContaining(String(messageId)),
    timestamp: expect.any(Number),
  });
  expect(processed?.sg_message_id.split('.')[0]).toBe(messageId);
  expect(processed?.sg_event_id).toMatch(/^[\w-]{1,100}$/);
  expect(new Set(receiver.events().map((event) => event.sg_event_id)).size).toBe(4);
});

test.each([
  ['ana@example.com', ['processed', 'delivered']],
  ['ana+bounce@example.com', ['processed', 'bounce']],
  ['ana+block@example.com', ['processed', 'bounce']],
  ['drop.ana@example.com', ['processed', 'dropped']],
  ['ana.defer@example.com', ['processed', 'deferred', 'delivered']],
  ['ana+open@example.com', ['processed', 'delivered', 'open']],
  ['ana+machineopen@example.com', ['processed', 'delivered', 'open']],
  ['ana+click@example.com', ['processed', 'delivered', 'open', 'click']],
  ['ana+complain@example.com', ['processed', 'delivered', 'spamreport']],
  ['bouncer@example.com', ['processed', 'delivered']],
])('%s makes %p', async (address, kinds) => {
  const { receiver, sandbox } = await openBoth();
  await sendRaw(
    sandbox,
    mailRequest({
      personalizations: [{ to: [{ email: address }] }],
      content: [{ type: 'text/html', value: '<a href="https://example.com/a">a</a>' }],
    }),
  );
  await flush(sandbox);
  expect(receiver.events().map((event) => event.event)).toEqual(kinds);
});

test('bounces, blocks and openings carry what the vendor tells of them', async () => {
  const { receiver, sandbox } = await openBoth();
  await sendTo(sandbox, [
    'a+bounce@example.com',
    'a+block@example.com',
    'a+machineopen@example.com',
  ]);
  await flush(sandbox);
  const of = (email: string, event: string) =>
    receiver.events().find((each) => each.email === email && each.event === event);
  expect(of('a+bounce@example.com', 'bounce')).toMatchObject({
    type: 'bounce',
    status: '5.1.1',
    bounce_classification: 'Invalid Address',
  });
  expect(of('a+block@example.com', 'bounce')).toMatchObject({ type: 'blocked' });
  expect(of('a+machineopen@example.com', 'open')).toMatchObject({
    sg_machine_open: true,
    useragent: 'Mozilla/5.0',
  });
});

describe('a recipient of mail that the vendor does not track', () => {
  const untracked = {
    click_tracking: { enable: false, enable_text: false },
    open_tracking: { enable: false },
    subscription_tracking: { enable: false },
  };

  async function sendUntracked(address: string) {
    const { receiver, sandbox } = await openBoth();
    const value = `<p><a href="${receiver.url}/t/u/x">unsubscribe</a> <a href="-c-/1?a=1&amp;b=2">offer</a></p>
      <img src="${receiver.url}/logo.png" width="100" height="40"><img src="-o-" width="1" height="1" alt="">`;
    await sendRaw(
      sandbox,
      mailRequest({
        tracking_settings: untracked,
        personalizations: [
          {
            to: [{ email: address }],
            substitutions: { '-c-': `${receiver.url}/t/c/tok`, '-o-': `${receiver.url}/t/o/tok` },
            headers: {
              'List-Unsubscribe': `<mailto:u@example.com>, <${receiver.url}/t/u/tok>`,
              'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
            },
          },
        ],
        content: [{ type: 'text/html', value }],
      }),
    );
    await flush(sandbox);
    const visits = receiver.requests.filter((request) => request.url !== '/events');
    return { receiver, visits, kinds: receiver.events().map((event) => event.event) };
  }

  test('opens by loading the pixel', async () => {
    const { visits, kinds } = await sendUntracked('ana+open@example.com');
    expect(kinds).toEqual(['processed', 'delivered']);
    expect(visits).toMatchObject([{ method: 'GET', url: '/t/o/tok' }]);
    expect(visits[0]?.headers['user-agent']).toContain('AppleWebKit');
  });

  test('clicks the first link that is not for unsubscribing', async () => {
    const { visits } = await sendUntracked('ana+click@example.com');
    expect(visits.map((visit) => visit.url)).toEqual(['/t/o/tok', '/t/c/tok/1?a=1&b=2']);
  });

  test('unsubscribes by one click as RFC 8058 says', async () => {
    const { visits, kinds } = await sendUntracked('ana+unsub@example.com');
    expect(kinds).toEqual(['processed', 'delivered']);
    expect(visits).toMatchObject([
      { method: 'POST', url: '/t/u/tok', body: 'List-Unsubscribe=One-Click' },
    ]);
    expect(visits[0]?.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(visits[0]?.headers.cookie).toBeUndefined();
  });

  test.each([
    ['http://127.0.0.1:1/x', true],
    ['http://localhost/x', true],
    ['http://[::1]:3/x', true],
    ['http://127.0.0.1.example.com/', false],
    ['http://127.0.0.1@example.com/', false],
    ['https://example.com/', false],
    ['file:///etc/passwd', false],
    ['nonsense', false],
  ])('%s is on this machine: %p', (url, expected) => {
    expect(isLoopback(url)).toBe(expected);
  });
});

describe('delivery of events', () => {
  test('what was not taken is posted again, same ids, until it is taken', async () => {
    const { receiver, sandbox } = await openBoth();
    receiver.statuses.push(500);
    await sendTo(sandbox, ['ana@example.com']);
    await eventually(() => receiver.posts.length === 3);
    const ids = receiver.posts.map((post) => post.events[0]?.sg_event_id);
    expect(new Set(ids).size).toBe(2);
    const { items } = await api<{ items: { status: number; attempt: number }[] }>(
      sandbox,
      '/events',
    );
    expect(items.map((item) => item.status).toSorted((a, b) => a - b)).toEqual([204, 204, 500]);
    expect(Math.max(...items.map((item) => item.attempt))).toBe(2);
  });

  test('held events leave by a flush only', async () => {
    const { receiver, sandbox } = await openBoth();
    await setFaults(sandbox, { eventsHold: true });
    await sendTo(sandbox, ['ana@example.com', 'bo@example.com']);
    expect(await api(sandbox, '/stats')).toMatchObject({ events: { pending: 1, posts: 0 } });
    expect(await flush(sandbox)).toEqual({ posted: 4, failed: 0 });
    expect(receiver.events()).toHaveLength(4);
  });

  test('a flush reports what failed, and the rest of the queue stays', async () => {
    const { receiver, sandbox } = await openBoth();
    await setFaults(sandbox, { eventsHold: true });
    await sendTo(sandbox, ['ana@example.com']);
    receiver.statuses.push(503, 503);
    expect(await flush(sandbox)).toEqual({ posted: 0, failed: 2 });
    expect(await flush(sandbox)).toEqual({ posted: 2, failed: 0 });
  });

  test('a replay posts everything again under the same ids', async () => {
    const { receiver, sandbox } = await openBoth();
    await sendTo(sandbox, ['ana@example.com', 'bo@example.com']);
    await flush(sandbox);
    const ids = receiver.events().map((event) => event.sg_event_id);
    expect(await api(sandbox, '/events/replay', 'POST')).toEqual({ posted: 4, failed: 0 });
    const again = receiver
      .events()
      .slice(4)
      .map((event) => event.sg_event_id);
    expect([...again].sort()).toEqual([...ids].sort());
  });

  test('doubled and shuffled events are the same events', async () => {
    const { receiver, sandbox } = await openBoth();
    await setFaults(sandbox, { eventsDuplicate: 1, eventsShuffle: true, seed: 'a' });
    const addresses = Array.from({ length: 40 }, (_, n) => `p${n}@example.com`);
    await sendTo(sandbox, addresses);
    await flush(sandbox);
    const counts = new Map<string, number>();
    for (const { sg_event_id: id } of receiver.events()) {
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect(counts.size).toBe(80);
    expect([...counts.values()].every((count) => count === 2)).toBe(true);
    const inOrder = receiver.posts[0]?.events.map((event) => event.email) ?? [];
    expect(inOrder).not.toEqual([...inOrder].sort());
  });

  test('a post holds a thousand events at most', async () => {
    const { receiver, sandbox } = await openBoth();
    await setFaults(sandbox, { eventsHold: true });
    for (const shop of ['a', 'b', 'c']) {
      await sendTo(
        sandbox,
        Array.from({ length: 600 }, (_, n) => `p${n}@${shop}.example.com`),
      );
    }
    await flush(sandbox);
    expect(receiver.events()).toHaveLength(3_600);
    expect(Math.max(...receiver.posts.map((post) => post.events.length))).toBeLessThanOrEqual(
      1_000,
    );
  });

  test('small requests share a post', async () => {
    const { receiver, sandbox } = await openBoth();
    await setFaults(sandbox, { eventsHold: true });
    for (let n = 0; n < 20; n += 1) {
      await sendTo(sandbox, [`p${n}@example.com`]);
    }
    await flush(sandbox);
    expect(receiver.posts.map((post) => post.events.length)).toEqual([20, 20]);
  });
});

test('events that were waiting are posted after a restart, those posted are not', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'sandbox-events-'));
  const { receiver, webhook, sandbox } = await openBoth({ dataDir });
  await sendTo(sandbox, ['ana@example.com']);
  await eventually(() => receiver.events().length === 2);
  await setFaults(sandbox, { eventsHold: true });
  await sendTo(sandbox, ['bo@example.com']);
  await sandbox.close();
  expect(receiver.events().map((event) => event.email)).not.toContain('bo@example.com');

  await openSandbox({ dataDir, webhook });
  await eventually(() => receiver.events().length === 4);
  expect(receiver.events().slice(2)).toMatchObject([
    { event: 'processed', email: 'bo@example.com' },
    { event: 'delivered', email: 'bo@example.com' },
  ]);
  await closeAll();
  await rm(dataDir, { recursive: true });
});

test('a simulated audience acts the same way for the same seed', async () => {
  const engagement = {
    openRate: 0.5,
    machineOpenRate: 0.2,
    clickRate: 0.25,
    bounceRate: 0.1,
    blockRate: 0.05,
    complaintRate: 0.05,
    unsubscribeRate: 0,
  };
  const addresses = Array.from({ length: 200 }, (_, n) => `p${n}@example.com`);
  const play = async () => {
    const { receiver, sandbox } = await openBoth({ engagement, eventSeed: 'demo' });
    await sendTo(sandbox, addresses);
    await flush(sandbox);
    return receiver
      .events()
      .map((event) => `${event.event} ${event.email}`)
      .sort();
  };
  const [first, second] = [await play(), await play()];
  expect(second).toEqual(first);
  const clicks = first.filter((event) => event.startsWith('click'));
  expect(clicks.length).toBeGreaterThan(20);
  expect(first).toEqual(
    expect.arrayContaining(clicks.map((click) => click.replace('click', 'open'))),
  );
});
