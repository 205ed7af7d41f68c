import type { TestApi } from '../../support/api';
import {
  atTime,
  buildTracking,
  firefox,
  startTrackingApi,
  tokens,
  withBrokenEvents,
  withoutDatabase,
  type TrackingGround,
} from './ground';

let api: TestApi;
let t: TrackingGround;

beforeAll(async () => {
  api = await startTrackingApi();
});

afterAll(async () => {
  await api.stop();
});

beforeEach(async () => {
  t = await buildTracking(api);
});

test('leads to the address it stood for and notes the click', async () => {
  const answer = await t.get(`/t/c/${t.tokenOf(2)}/0`);
  expect(answer.status).toBe(302);
  expect(answer.headers.get('Location')).toBe('https://shop.example/sale');
  expect(answer.headers.get('Cache-Control')).toBe('no-store');
  expect(await t.stored()).toMatchObject([
    {
      kind: 'clicked',
      source: 'carillon',
      run_id: t.ledger.run.id,
      tenant_id: t.ledger.tenantId,
      message_n: 2,
      payload: {
        detail: {
          url: 'https://shop.example/sale',
          link: '0',
          userAgent: firefox,
          class: 'human',
          because: 'person',
        },
      },
    },
  ]);
  await t.apply();
  expect((await t.message(2)).first_clicked_at).toEqual(expect.any(Date));
  expect((await t.message(1)).first_clicked_at).toBeNull();
  expect(await t.ledger.dispatch(1)).toMatchObject({ clicked_count: 1, state: 'planned' });
});

test('keeps one click a link, person and minute, and counts every person once', async () => {
  await setLinks(['https://shop.example/sale', 'https://shop.example/new']);
  const click = async (n: number, index: number) =>
    expect((await t.get(`/t/c/${t.tokenOf(n)}/${index}`)).status).toBe(302);
  await atTime('2027-03-01T10:00:01Z', async () => {
    await Promise.all([click(1, 0), click(1, 0), click(2, 0)]);
    await click(1, 1);
  });
  await atTime('2027-03-01T10:00:59Z', () => click(1, 0));
  expect(await t.stored()).toHaveLength(3);
  await atTime('2027-03-01T10:01:00Z', () => click(1, 0));
  await t.apply();
  expect(await t.stored()).toHaveLength(4);
  expect(await t.ledger.dispatch(1)).toMatchObject({ clicked_count: 2 });
});

test('parameters that others add to it are passed over', async () => {
  for (const query of ['?fbclid=1', '?a=1&a=2', '?q=%00', '?__proto__=1', '?q=%FF']) {
    const answer = await t.get(`/t/c/${t.tokenOf(1)}/0${query}`);
    expect([query, answer.status]).toEqual([query, 302]);
  }
});

test('leads to the address as its author wrote it, in what a header can hold', async () => {
  await setLinks([
    "https://shop.example/a%2fb?b=1&b=2&c=%C3%BC&d='|[]#f?x",
    'HTTPS://X.example',
    'http://bücher.example/ä b?c=ü#d',
  ]);
  const locations = [];
  for (const index of [0, 1, 2]) {
    locations.push((await t.get(`/t/c/${t.tokenOf(1)}/${index}`)).headers.get('Location'));
  }
  expect(locations).toEqual([
    "https://shop.example/a%2fb?b=1&b=2&c=%C3%BC&d='|[]#f?x",
    'HTTPS://X.example',
    'http://xn--bcher-kva.example/%C3%A4%20b?c=%C3%BC#d',
  ]);
});

test.each([
  ['a script', 'python-requests/2.31.0', {}, 'knownBot'],
  ['a scanner', firefox, { 'X-Forwarded-For': '40.94.1.2' }, 'scannerNetwork'],
])(
  '%s is led on like anybody, and clicks for no person',
  async (_name, agent, headers, because) => {
    const answer = await t.get(`/t/c/${t.tokenOf(1)}/0`, agent, headers);
    expect(answer.status).toBe(302);
    expect(await t.stored()).toMatchObject([
      { payload: { machine: true, detail: { class: 'bot', because } } },
    ]);
    await t.apply();
    expect((await t.message(1)).first_clicked_at).toBeNull();
  },
);

test('who clicks at once is a bot, and a person clicks later in the same minute', async () => {
  await t.handedOver('3 seconds');
  await t.get(`/t/c/${t.tokenOf(1)}/0`);
  await t.handedOver('20 seconds');
  await t.get(`/t/c/${t.tokenOf(1)}/0`);
  expect(await t.stored()).toMatchObject([
    { payload: { detail: { class: 'bot', because: 'clickedTooSoon' } } },
    { payload: { detail: { class: 'human', because: 'person' } } },
  ]);
});

test('only what the content holds decides where it leads', async () => {
  const evil = encodeURIComponent('https://evil.example/');
  for (const query of [`?url=${evil}`, `?redirect=${evil}`, `?next=//evil.example`]) {
    const answer = await t.get(`/t/c/${t.tokenOf(1)}/0${query}`, firefox, {
      'X-Forwarded-Host': 'evil.example',
      Referer: 'https://evil.example/',
    });
    expect(answer.headers.get('Location')).toBe('https://shop.example/sale');
  }
});

test('follows the version the run was sent with, not a later one', async () => {
  await api.db('campaign_contents').insert({
    tenant_id: t.ledger.tenantId,
    campaign_id: t.ledger.campaignId,
    version: 2,
    from_email: 'shop@example.com',
    subject: 'Later',
    html: '<p>Later</p>',
    links: ['https://shop.example/later'],
  });
  await api.db('campaigns').where({ id: t.ledger.campaignId }).update({ content_version: 2 });
  const answer = await t.get(`/t/c/${t.tokenOf(1)}/0`);
  expect(answer.headers.get('Location')).toBe('https://shop.example/sale');
});

test('a HEAD looks and does not count', async () => {
  const answer = await api.send('head', `/t/c/${t.tokenOf(1)}/0`);
  expect(answer.status).toBe(302);
  expect(await t.stored()).toEqual([]);
});

test('a wrong token or index leads nowhere', async () => {
  const indexes = ['1', '-1', '00001', 'x', '9999', '0x0', '1e0', '%20', '99999999999'];
  const paths = [
    ...t.wrongTokens().map((token) => `${token}/0`),
    ...indexes.map((index) => `${t.tokenOf(1)}/${index}`),
    `${tokens.token({ runId: t.ledger.campaignId, messageN: 1 })}/0`,
  ];
  for (const path of paths) {
    const answer = await t.get(`/t/c/${path}`);
    expect([path, answer.status]).toEqual([path, 404]);
    expect(answer.headers.get('Location')).toBeNull();
  }
  expect(await t.stored()).toEqual([]);
});

test('never leads to what is no web address', async () => {
  await setLinks(['javascript:alert(1)', 'data:text/html,x', '//evil.example', 'ftp://x/', '']);
  for (const index of [0, 1, 2, 3, 4]) {
    const answer = await t.get(`/t/c/${t.tokenOf(1)}/${index}`);
    expect([answer.status, answer.headers.get('Location')]).toEqual([404, null]);
  }
});

test('looks once and writes once, for a click and for a pixel', async () => {
  await t.get(`/t/c/${t.tokenOf(1)}/0`);
  const paths = [`/t/c/${t.tokenOf(2)}/0`, `/t/o/${t.tokenOf(2)}`];
  for (const path of paths) {
    const statements: string[] = [];
    const note = ({ sql }: { sql: string }) => statements.push(sql.trim());
    api.deps.db.on('query', note);
    await t.get(path);
    api.deps.db.removeListener('query', note);
    const work = statements.filter((sql) => /\b(from|into)\b/i.test(sql));
    expect([path, work.length]).toEqual([path, 2]);
    expect(work.map((sql) => /\binsert\b/.test(sql))).toEqual([false, true]);
  }
});

test('leads on when the click cannot be kept', async () => {
  await withBrokenEvents(api, async () => {
    const answer = await t.get(`/t/c/${t.tokenOf(1)}/0`);
    expect(answer.headers.get('Location')).toBe('https://shop.example/sale');
  });
  expect(await t.stored()).toEqual([]);
});

test('asks people to come again while the records are away', async () => {
  await withoutDatabase(async (lost) => {
    const answer = await lost.send('get', `/t/c/${t.tokenOf(1)}/0`);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('Retry-After')).toBe('5');
    expect(answer.headers.get('Content-Type')).toContain('text/html');
  });
});

async function setLinks(links: string[]) {
  await api.db('campaign_contents').where({ campaign_id: t.ledger.campaignId }).update({ links });
}
