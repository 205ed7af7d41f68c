import type { TestApi } from '../../support/api';
import {
  atTime,
  buildTracking,
  firefox,
  startTrackingApi,
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

test('notes the opening', async () => {
  const answer = await api.send('get', `/t/o/${t.tokenOf(3)}`, {
    headers: { 'User-Agent': firefox },
  });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('Content-Type')).toBe('image/gif');
  expect(answer.headers.get('Cache-Control')).toContain('no-store');
  await t.apply();
  expect((await t.message(3)).first_opened_at).toEqual(expect.any(Date));
  expect(await t.ledger.dispatch(1)).toMatchObject({ opened_count: 1 });
});

test('is one transparent GIF, with the suffix and without', async () => {
  for (const suffix of ['', '.gif', '?x=1&x=2']) {
    const answer = await fetch(`${api.url}/t/o/${t.tokenOf(1)}${suffix}`);
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect(bytes.subarray(0, 6).toString('latin1')).toBe('GIF89a');
    expect(bytes).toHaveLength(43);
    expect([bytes.readUInt16LE(6), bytes.readUInt16LE(8)]).toEqual([1, 1]);
  }
});

test('keeps one opening a person and minute, whatever machines load besides', async () => {
  const agents = ['Mozilla/5.0', firefox, firefox, 'Mozilla/5.0', 'Thunderbird'];
  await atTime('2027-03-01T10:00:01Z', async () => {
    for (const agent of agents) {
      await t.get(`/t/o/${t.tokenOf(1)}`, agent);
    }
    await t.get(`/t/o/${t.tokenOf(2)}`);
  });
  await atTime('2027-03-01T10:01:00Z', async () => {
    await t.get(`/t/o/${t.tokenOf(1)}`);
  });
  const stored = await t.stored();
  expect(stored.map((event) => event['message_n'])).toEqual([1, 1, 2, 1]);
  await t.apply();
  expect(await t.ledger.dispatch(1)).toMatchObject({ opened_count: 2 });
});

test.each([
  ['Apple’s proxy', 'Mozilla/5.0', {}, 'machine', 'applePrivacy'],
  ['a browser that prefetches', firefox, { 'Sec-Purpose': 'prefetch' }, 'machine', 'prefetch'],
  ['a script', 'curl/8.5.0', {}, 'bot', 'knownBot'],
  ['a scanner', firefox, { 'X-Forwarded-For': '64.235.150.1' }, 'bot', 'scannerNetwork'],
])('%s opens for no person', async (_name, agent, headers, name, because) => {
  await t.get(`/t/o/${t.tokenOf(1)}`, agent, headers);
  expect(await t.stored()).toMatchObject([
    { payload: { machine: true, detail: { class: name, because } } },
  ]);
  await t.apply();
  expect((await t.message(1)).first_opened_at).toBeNull();
});

test('what opens at once is a machine, and a person opens later', async () => {
  await t.handedOver('1 second');
  await t.get(`/t/o/${t.tokenOf(1)}`);
  await t.handedOver('1 minute');
  await t.get(`/t/o/${t.tokenOf(1)}`);
  expect(await t.stored()).toMatchObject([
    { payload: { detail: { class: 'machine', because: 'openedTooSoon' } } },
    { payload: { detail: { class: 'human', because: 'person' } } },
  ]);
});

test('keeps no address of the person', async () => {
  await t.get(`/t/o/${t.tokenOf(1)}`);
  expect(JSON.stringify(await t.stored())).not.toContain('198.51.100.7');
});

test('a HEAD does not count', async () => {
  expect((await api.send('head', `/t/o/${t.tokenOf(1)}`)).status).toBe(200);
  expect(await t.stored()).toEqual([]);
});

test('is shown whatever the token is, and notes nothing for a wrong one', async () => {
  for (const token of t.wrongTokens().filter((token) => token !== '%00')) {
    const answer = await t.get(`/t/o/${token}`);
    expect([token, answer.status]).toEqual([token, 200]);
  }
  expect(await t.stored()).toEqual([]);
});

test('is shown when the opening cannot be kept, and while the records are away', async () => {
  await withBrokenEvents(api, async () => {
    expect((await t.get(`/t/o/${t.tokenOf(1)}`)).status).toBe(200);
  });
  await withoutDatabase(async (lost) => {
    expect((await lost.send('get', `/t/o/${t.tokenOf(1)}`)).status).toBe(200);
  });
});
