import { withTenant } from '../../../models/base';
import { createRun, setGate } from '../../../models/campaigns/runs';
import { settleCall } from '../../../models/messages/settle';
import { newId } from '../../../lib/ids';
import { startTestApi, type TestApi } from '../../support/api';
import { campaignsPath } from '../../support/campaigns';
import { buildTenant } from '../../support/factories';
import { everyone, insertCampaign, insertCustomers, insertTenant } from '../../support/records';
import { buildReportedLedger } from '../../support/reports';
import { tokenFor } from '../../support/tokens';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

const localHour = {
  kind: 'localHour',
  date: '2030-06-03',
  time: '09:00',
  unknownZone: 'skip',
  hourPast: 'skip',
} as const;

test('shows the plan as it would be until it is written', async () => {
  const { db } = api;
  const tenantId = await insertTenant(db);
  await insertCustomers(db, tenantId, [
    { email: 'a@example.com', timeZone: 'Europe/Paris' },
    { email: 'b@example.com', timeZone: 'Asia/Tokyo' },
    { email: 'c@example.com', timeZone: 'Asia/Tokyo' },
    { email: 'd@example.com', timeZone: null },
    { email: null, timeZone: 'Asia/Tokyo' },
  ]);
  const campaignId = await insertCampaign(db, tenantId);
  await withTenant(db, tenantId, (trx) =>
    createRun(trx, {
      id: newId(),
      tenantId,
      campaignId,
      channel: 'email',
      contentVersion: 1,
      audience: everyone,
      schedule: localHour,
      actor: { kind: 'user', id: null },
    }),
  );

  const answer = await api.send('get', `${campaignsPath}/${campaignId}/progress`, {
    token: await tokenFor(api.deps, tenantId, 'viewer'),
  });
  expect(answer.status).toBe(200);
  expect(answer.body.data).toMatchObject({
    status: 'scheduled',
    isEstimate: true,
    percent: 0,
    nextRunAt: '2030-06-03T00:00:00.000Z',
    waiting: { for: 'wave', until: '2030-06-03T00:00:00.000Z' },
    counts: { planned: 3, open: 3, accepted: 0 },
    leftOut: { noAddress: 1, unknownZone: 1 },
    waves: [
      { n: 1, startsAt: '2030-06-03T00:00:00.000Z', zones: ['Asia/Tokyo'], planned: 2 },
      { n: 2, startsAt: '2030-06-03T07:00:00.000Z', zones: ['Europe/Paris'], planned: 1 },
    ],
  });
});

test('says that quiet hours put a wave off, and until when', async () => {
  const hour = (hours: number) =>
    new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
  const ledger = await buildReportedLedger(api, {
    zones: ['UTC'],
    schedule: { kind: 'now', quietHours: { from: hour(-1), to: hour(1) } },
  });
  const until = ledger.plan.waves[0]?.startsAt.toISOString();
  expect((await ledger.get('/progress')).body.data).toMatchObject({
    waiting: { for: 'quietHours', until, detail: null },
    nextRunAt: until,
    waves: [{ startsAt: until, waitsUntil: until, waitReason: 'quietHours' }],
  });
});

test('shows whom a cap holds back, and waits for it when nothing else is left', async () => {
  const first = await buildReportedLedger(api, {
    schedule: { kind: 'now', frequencyCap: { messages: 1, days: 7, whenCapped: 'later' } },
  });
  await first.gate(await first.claimed());
  await api.db('customer_contacts').where({ run_id: first.run.id, message_n: 1 }).del();
  const ledger = await buildReportedLedger(api, { sameAs: first, schedule: first.run.schedule });
  const answer = await ledger.gate(await ledger.claimed());
  expect(answer).toMatchObject({ kind: 'open', heldBack: 2 });
  const sending = (await ledger.get('/progress')).body.data;
  const until = sending.waves[0].heldBackUntil;
  expect(sending).toMatchObject({
    waiting: null,
    counts: { planned: 3, open: 3, leftOut: 0 },
    waves: [{ heldBack: 2, waitsUntil: null, waitReason: null }],
  });
  await withTenant(api.deps.db, ledger.tenantId, (trx) =>
    settleCall(
      trx,
      { tenantId: ledger.tenantId, runId: ledger.run.id, dispatchN: 1, attempt: 1 },
      { outcome: 'accepted', providerMessageId: null, status: 202 },
    ),
  );
  expect((await ledger.get('/progress')).body.data).toMatchObject({
    waiting: { for: 'frequencyCap', until, detail: null },
    counts: { accepted: 1, open: 2 },
    waves: [{ heldBack: 2, waitsUntil: until, waitReason: 'frequencyCap' }],
  });
});

test('counts what is sent, in doubt and open, in all and by wave', async () => {
  const ledger = await buildReportedLedger(api, { customers: 3 });
  const before = await ledger.get('/progress');
  expect(before.body.data).toMatchObject({
    isEstimate: false,
    percent: 0,
    counts: { planned: 3, open: 3 },
    doubts: 0,
    waiting: null,
  });

  const dispatch = await ledger.claimed();
  const gate = await ledger.gate(dispatch);
  const call = {
    tenantId: ledger.tenantId,
    runId: ledger.run.id,
    dispatchN: dispatch.n,
    attempt: gate.kind === 'open' ? gate.attempt : 0,
  };
  await withTenant(api.deps.db, ledger.tenantId, (trx) =>
    settleCall(trx, call, { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' }),
  );
  const doubtful = await ledger.get('/progress');
  expect(doubtful.body.data).toMatchObject({
    percent: 0,
    doubts: 1,
    counts: { planned: 3, inDoubt: 3, open: 0 },
    waiting: { for: 'events', detail: 'callsInDoubt', until: expect.any(String) },
  });
  const doubts = await ledger.get('/doubts');
  expect(doubts.body.data).toMatchObject([
    { dispatch: dispatch.n, state: 'inDoubt', messages: 3, reason: 'ECONNRESET', attempt: 1 },
  ]);

  await withTenant(api.deps.db, ledger.tenantId, (trx) =>
    settleCall(trx, call, { outcome: 'accepted', status: 202, providerMessageId: 'x' }),
  );
  const after = await ledger.get('/progress');
  expect(after.body.data).toMatchObject({
    percent: 100,
    doubts: 0,
    counts: { planned: 3, accepted: 3, inDoubt: 0, open: 0 },
    waves: [{ planVersion: 1, n: 1, kind: 'planned', dispatches: 1, planned: 3, accepted: 3 }],
  });
  expect((await ledger.get('/doubts')).body.data).toEqual([]);
});

test('says who paused it and keeps no next wave', async () => {
  const ledger = await buildReportedLedger(api, { schedule: localHour });
  expect((await ledger.get('/progress')).body.data.nextRunAt).toBe('2030-06-03T07:00:00.000Z');
  await withTenant(api.deps.db, ledger.tenantId, (trx) =>
    setGate(trx, {
      tenantId: ledger.tenantId,
      runId: ledger.run.id,
      gate: 'paused',
      reason: 'Wrong price',
      actor: { kind: 'user', id: null },
    }),
  );
  expect((await ledger.get('/progress')).body.data).toMatchObject({
    status: 'paused',
    nextRunAt: null,
    waiting: { for: 'resume', until: null, detail: 'Wrong price' },
    run: { gate: 'paused', gateReason: 'Wrong price' },
  });
});

test('lists runs and the lifecycle log, and a run by its number', async () => {
  const ledger = await buildReportedLedger(api);
  const runs = await ledger.get('/runs');
  expect(runs.body).toMatchObject({
    data: [{ id: ledger.run.id, n: 1, state: 'waiting', schedule: { kind: 'now' } }],
    meta: { total: 1 },
  });
  const logs = await ledger.get('/logs?sort=createdAt');
  expect(logs.body.data).toMatchObject([
    { kind: 'scheduled', actor: { kind: 'user', id: null }, runId: ledger.run.id },
    { kind: 'planned', actor: { kind: 'system' }, detail: { planned: 3, waves: 1 } },
  ]);
  const first = await ledger.get('/logs?sort=createdAt&perPage=1');
  const second = await ledger.get(
    `/logs?sort=createdAt&perPage=1&cursor=${first.body.meta.nextCursor}`,
  );
  expect([first.body.data[0].kind, second.body.data[0].kind]).toEqual(['scheduled', 'planned']);
  expect((await ledger.get('/logs?kind=planned&run=1&fields=kind')).body.data).toEqual([
    { kind: 'planned' },
  ]);
  expect((await ledger.get('/progress?run=1')).status).toBe(200);
});

test('answers 304 while nothing has changed', async () => {
  const { campaignId, token, ...ledger } = await buildReportedLedger(api, { schedule: localHour });
  for (const report of ['progress', 'metrics']) {
    const etag = (await ledger.get(`/${report}`)).headers.get('ETag') ?? '';
    const again = await api.send('get', `${campaignsPath}/${campaignId}/${report}`, {
      token,
      headers: { 'If-None-Match': etag },
    });
    expect([report, again.status]).toEqual([report, 304]);
  }
});

const reports = ['progress', 'metrics', 'runs', 'messages', 'messages/1', 'logs', 'doubts'];

test.each(reports)('%s of another tenant’s campaign is not there', async (report) => {
  const { campaignId } = await buildReportedLedger(api);
  const { token } = await buildTenant(api.deps);
  for (const id of [campaignId, newId(), 'no-id']) {
    const answer = await api.send('get', `${campaignsPath}/${id}/${report}`, { token });
    expect([answer.status, answer.body.code]).toEqual([404, 'campaignNotFound']);
  }
});

test('a campaign that was never scheduled has lists without entries and no progress', async () => {
  const tenantId = await insertTenant(api.db);
  const campaignId = await insertCampaign(api.db, tenantId);
  const answers = await Promise.all(
    reports.map(async (report) => {
      const { status, body } = await api.send('get', `${campaignsPath}/${campaignId}/${report}`, {
        token: await tokenFor(api.deps, tenantId),
      });
      return [report, status, body.code ?? body.data];
    }),
  );
  expect(answers).toEqual([
    ['progress', 404, 'runNotFound'],
    ['metrics', 404, 'runNotFound'],
    ['runs', 200, []],
    ['messages', 200, []],
    ['messages/1', 404, 'runNotFound'],
    ['logs', 200, []],
    ['doubts', 200, []],
  ]);
});

test.each([
  ['progress?run=0', 422, 'run'],
  ['progress?run=two', 422, 'run'],
  ['metrics?page=1', 422, 'page'],
  ['runs?sort=name', 422, 'sort'],
  ['logs?kind=', 422, 'kind'],
  ['doubts?run=1.5', 422, 'run'],
  ['messages?state=sent', 422, 'state'],
  ['messages?customerId=1', 422, 'customerId'],
  ['messages?fact=read', 422, 'fact'],
  ['messages?perPage=201', 422, 'perPage'],
  ['messages?fields=n,secret', 422, 'fields'],
])('refuses %s', async (path, status, field) => {
  const ledger = await buildReportedLedger(api, { customers: 1 });
  const answer = await ledger.get(`/${path}`);
  expect(answer.status).toBe(status);
  expect(answer.body.errors).toMatchObject([{ path: field }]);
});

test.each(['progress', 'metrics', 'messages', 'logs', 'doubts'])(
  '%s of a run there is none of answers 404',
  async (report) => {
    const ledger = await buildReportedLedger(api, { customers: 1 });
    const answer = await ledger.get(`/${report}?run=2`);
    expect([answer.status, answer.body.code]).toEqual([404, 'runNotFound']);
  },
);
