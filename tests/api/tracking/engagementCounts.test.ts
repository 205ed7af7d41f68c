import { withTenant } from '../../../models/base';
import { countRunEngagements, type Engagements } from '../../../models/tracking/engagementCounts';
import type { TestApi } from '../../support/api';
import { atTime, buildTracking, firefox, startTrackingApi, type TrackingGround } from './ground';

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
  await api
    .db('campaign_contents')
    .where({ campaign_id: t.ledger.campaignId })
    .update({ links: [0, 1, 2].map((n) => `https://shop.example/${n}`) });
});

const none = { all: 0, human: 0, machine: 0, bot: 0, unique: 0 };

test('counts times by who it was, and messages by people alone', async () => {
  for (const time of ['2027-03-01T10:00:01Z', '2027-03-01T10:05:00Z']) {
    await atTime(time, async () => {
      await open(1);
      await open(1, 'Mozilla/5.0');
      await open(2, 'curl/8.5.0');
      await click(1, 0);
      await click(2, 1, 'curl/8.5.0');
    });
  }
  await atTime('2027-03-01T10:10:00Z', () => open(3));
  await t.apply();
  const wanted = {
    opens: { all: 7, human: 3, machine: 2, bot: 2, unique: 2 },
    clicks: { all: 4, human: 2, machine: 0, bot: 2, unique: 1 },
  };
  const counted = await counts();
  expect(counted.run).toEqual(wanted);
  expect(counted.ofWave({ planVersion: 1, n: 1 })).toEqual(wanted);
  expect(counted.ofWave({ planVersion: 2, n: 9 })).toEqual({ opens: none, clicks: none });
  expect(await t.ledger.dispatch(1)).toMatchObject({ opened_count: 2, clicked_count: 1 });
});

test('counts each event once, in whatever batches it is applied', async () => {
  await open(1);
  await click(1, 0);
  await t.apply();
  await t.apply();
  expect((await counts()).run).toMatchObject({
    opens: { all: 1, human: 1 },
    clicks: { all: 1, human: 1 },
  });
});

test('a run nothing happened to has zeros', async () => {
  expect((await counts()).run).toEqual({ opens: none, clicks: none });
});

test('many links within a second are a bot', async () => {
  await atTime('2027-03-01T10:00:01.000Z', () => click(1, 0));
  await atTime('2027-03-01T10:00:01.400Z', () => click(1, 1));
  await atTime('2027-03-01T10:00:02.300Z', () => click(1, 2));
  await t.apply();
  expect((await counts()).run.clicks).toEqual({ ...none, all: 3, bot: 3 });
  expect((await t.message(1)).first_clicked_at).toBeNull();
  expect((await t.stored()).map((event) => event['payload'])).toEqual(
    Array.from({ length: 3 }, () =>
      expect.objectContaining({
        machine: true,
        detail: expect.objectContaining({ class: 'bot', because: 'manyLinks' }),
      }),
    ),
  );
});

test('what a burst counted before it was seen as one is taken back', async () => {
  await atTime('2027-03-01T10:00:01.000Z', () => click(1, 0));
  await t.apply();
  expect((await counts()).run.clicks).toEqual({ ...none, all: 1, human: 1, unique: 1 });

  await atTime('2027-03-01T10:00:01.500Z', () => click(1, 1));
  await t.apply();
  expect((await counts()).run.clicks).toEqual({ ...none, all: 2, bot: 2 });
  expect((await t.message(1)).first_clicked_at).toBeNull();
  expect(await t.ledger.dispatch(1)).toMatchObject({ clicked_count: 0 });
});

test('a burst takes nothing from what a person clicked', async () => {
  await atTime('2027-03-01T10:00:01Z', () => click(1, 0));
  await atTime('2027-03-01T10:02:00Z', () => click(1, 2));
  await t.apply();
  await atTime('2027-03-01T10:00:01.500Z', () => click(1, 1));
  await t.apply();
  expect((await counts()).run.clicks).toEqual({ ...none, all: 3, human: 1, bot: 2, unique: 1 });
  expect((await t.message(1)).first_clicked_at).toEqual(new Date('2027-03-01T10:02:00Z'));
});

test('the same ledger comes of any order and any batches', async () => {
  const clicks: [string, number][] = [
    ['2027-03-01T10:00:01.000Z', 0],
    ['2027-03-01T10:00:01.900Z', 1],
    ['2027-03-01T10:00:03.000Z', 2],
    ['2027-03-01T10:07:00.000Z', 0],
  ];
  for (const order of [
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [1, 3, 0, 2],
    [2, 0, 3, 1],
  ]) {
    for (const isApplied of [
      [true, true, true, true],
      [false, true, false, true],
      [false, false, false, true],
    ]) {
      t = await buildTracking(api);
      await api
        .db('campaign_contents')
        .where({ campaign_id: t.ledger.campaignId })
        .update({ links: [0, 1, 2].map((n) => `https://shop.example/${n}`) });
      for (const [step, place] of order.entries()) {
        const [time = '', link = 0] = clicks[place] ?? [];
        await atTime(time, () => click(1, link));
        if (isApplied[step] === true) {
          await t.apply();
        }
      }
      const wanted = { ...none, all: 4, human: 2, bot: 2, unique: 1 };
      expect([order, isApplied, (await counts()).run.clicks]).toEqual([order, isApplied, wanted]);
      expect((await t.message(1)).first_clicked_at).toEqual(new Date('2027-03-01T10:00:03Z'));
    }
  }
});

test('clicks of two people at once, or twice on one link, are no burst', async () => {
  await atTime('2027-03-01T10:00:01.000Z', async () => {
    await click(1, 0);
    await click(2, 1);
    await click(1, 0);
  });
  await t.apply();
  expect((await counts()).run.clicks).toEqual({ ...none, all: 2, human: 2, unique: 2 });
});

test('the counts are those of a recount of the events', async () => {
  const agents = [firefox, 'Mozilla/5.0', 'curl/8.5.0', 'Thunderbird', ''];
  for (const [index, agent] of agents.entries()) {
    await atTime(`2027-03-01T10:0${index}:00Z`, async () => {
      for (const n of [1, 2, 3]) {
        await open(n, agent);
        await click(n, index % 3, agent);
      }
    });
    if (index % 2 === 0) {
      await t.apply();
    }
  }
  await t.apply();
  const recounted: Record<string, Record<string, number>> = { opened: {}, clicked: {} };
  for (const event of await t.stored()) {
    const { kind, payload } = JSON.parse(JSON.stringify(event));
    const of = recounted[kind] ?? {};
    of[payload.detail.class] = (of[payload.detail.class] ?? 0) + 1;
  }
  const { run } = await counts();
  expect(run.opens).toMatchObject({ all: 15, ...recounted['opened'] });
  expect(run.clicks).toMatchObject({ all: 15, ...recounted['clicked'] });
});

async function open(n: number, agent = firefox) {
  await t.get(`/t/o/${t.tokenOf(n)}`, agent);
}

async function click(n: number, link: number, agent = firefox) {
  await t.get(`/t/c/${t.tokenOf(n)}/${link}`, agent);
}

function counts(): Promise<{
  run: Engagements;
  ofWave(wave: { planVersion: number; n: number }): Engagements;
}> {
  const { tenantId, run } = t.ledger;
  return withTenant(api.deps.db, tenantId, (trx) => countRunEngagements(trx, tenantId, run.id));
}
