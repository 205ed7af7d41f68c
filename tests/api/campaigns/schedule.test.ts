import { createCampaignWorkflows } from '../../../clients/campaigns';
import { connectTemporal } from '../../../lib/temporal';
import { campaignWorkflowId } from '../../../workflows/campaigns/messages';
import { freePort } from '../../../workers/launch/ports';
import { inClear } from '../../support/dataConverter';
import { startTestApi, type TestApi } from '../../support/api';
import { campaignsPath, dataOf, postCampaign } from '../../support/campaigns';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

const tomorrow = inDays(1).slice(0, 10);

function inDays(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString();
}

function post(path: string, { token }: Pick<TestTenant, 'token'>, json?: unknown) {
  return api.send('post', `${campaignsPath}/${path}`, { token, json });
}

function runsOf(campaignId: string) {
  return api.db('campaign_runs').where({ campaign_id: campaignId }).orderBy('n');
}

describe('a plan', () => {
  test('counts each wave and why who is left out, and writes nothing', async () => {
    const tenant = await buildTenant(api.deps, { timeZone: 'Asia/Tokyo' });
    const write = (values: Record<string, unknown>) =>
      buildCustomer(api.deps, { tenant, tags: ['loyal'], ...values });
    await write({ timeZone: 'Europe/Berlin' });
    await write({ timeZone: 'Europe/Paris' });
    await write({ timeZone: 'America/New_York' });
    await write({ timeZone: null });
    await write({ email: null, externalId: 'no-address' });
    await write({ emailConsent: 'withdrawn' });
    const suppressed = await write({});
    await write({ tags: ['loyal', 'new'] });
    await write({ tags: [] });
    await api.send('post', '/api/v1/suppressions', {
      token: tenant.token,
      json: { address: suppressed.email },
    });
    const { id } = await postCampaign(api, tenant, {
      audience: { includeTags: ['loyal'], excludeTags: ['new'] },
    });
    const hour = { kind: 'localHour', date: '2027-06-01', time: '09:00', windowMinutes: 30 };

    expect(dataOf(await post(`${id}/plan`, tenant, { schedule: hour }), 200)).toEqual({
      total: 7,
      planned: 4,
      leftOut: { noAddress: 1, withdrawn: 1, suppressed: 1 },
      waves: [
        wave(1, '2027-06-01T00:00', '2027-06-01T00:30', ['Asia/Tokyo'], 1),
        wave(2, '2027-06-01T07:00', '2027-06-01T07:30', ['Europe/Berlin', 'Europe/Paris'], 2),
        wave(3, '2027-06-01T13:00', '2027-06-01T13:30', ['America/New_York'], 1),
      ],
    });
    const without = { ...hour, unknownZone: 'skip' };
    expect(dataOf(await post(`${id}/plan`, tenant, { schedule: without }), 200)).toMatchObject({
      total: 7,
      planned: 3,
      leftOut: { unknownZone: 1 },
    });
    expect(await runsOf(id)).toEqual([]);
    expect((await api.send('get', `${campaignsPath}/${id}`, tenant)).body.data.status).toBe(
      'draft',
    );
  });

  test('of an audience of nobody has no wave', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant);
    const answer = await post(`${id}/plan`, tenant, { schedule: { kind: 'now' } });
    expect(dataOf(answer, 200)).toEqual({ total: 0, planned: 0, leftOut: {}, waves: [] });
  });
});

function wave(n: number, from: string, to: string, zones: string[], customers: number) {
  return {
    n,
    startsAt: `${from}:00.000Z`,
    closesAt: `${to}:00.000Z`,
    waitsFor: null,
    zones,
    customers,
  };
}

describe('a schedule', () => {
  test('freezes the campaign in a run and starts its workflow', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant, { audience: { includeTags: ['loyal'] } });
    const answer = await post(`${id}/schedule`, tenant, {
      schedule: { kind: 'localHour', date: tomorrow, time: '09:00' },
    });

    const { run, status } = dataOf(answer, 202);
    expect(status).toBe('scheduled');
    expect(run).toMatchObject({
      n: 1,
      state: 'planning',
      gate: 'open',
      schedule: {
        kind: 'localHour',
        date: tomorrow,
        time: '09:00',
        unknownZone: 'tenant',
        hourPast: 'nextDay',
        windowMinutes: 60,
      },
      contentVersion: 1,
      doubtPolicy: 'hold',
      doubtDeadlineMinutes: 1440,
    });
    const workflowId = campaignWorkflowId(tenant.tenantId, id);
    expect(answer.body.meta).toEqual({ workflowId, workflow: 'started' });
    expect(await runsOf(id)).toMatchObject([
      {
        id: run.id,
        audience: { includeTags: ['loyal'], excludeTags: [], customerIds: [] },
        workflow_started_at: expect.any(Date),
        created_by: tenant.userId,
      },
    ]);
    const { memo, status: execution } = await api.deps.temporal.client.workflow
      .getHandle(workflowId)
      .describe();
    expect([execution.name, memo]).toEqual(['RUNNING', { runId: run.id }]);
  });

  test('takes an instant in any offset, its window and what becomes of doubt', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant);
    const answer = await post(`${id}/schedule`, tenant, {
      schedule: { kind: 'instant', at: `${tomorrow}T09:00:00+02:00`, windowMinutes: 5 },
      doubtPolicy: 'sendAgain',
      doubtDeadlineMinutes: 10,
    });
    expect(dataOf(answer, 202).run).toMatchObject({
      schedule: { kind: 'instant', at: `${tomorrow}T07:00:00.000Z`, windowMinutes: 5 },
      doubtPolicy: 'sendAgain',
      doubtDeadlineMinutes: 10,
    });
    expect(await runsOf(id)).toMatchObject([{ doubt_deadline_ms: 600_000 }]);
  });

  test('by send is one of now', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant);
    const answer = await post(`${id}/send`, tenant, { windowMinutes: 10 });
    expect(dataOf(answer, 202).run.schedule).toEqual({ kind: 'now', windowMinutes: 10 });
  });

  test('of a campaign that is scheduled is refused, whoever asks at the same moment', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant);
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => post(`${id}/send`, tenant, {})),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(4);
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('campaignIsRunning');
    expect(await runsOf(id)).toHaveLength(1);
  });

  test('that a crash kept from being answered is not made twice', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant);
    const ask = () =>
      api.send('post', `${campaignsPath}/${id}/send`, {
        token: tenant.token,
        json: {},
        headers: { 'Idempotency-Key': 'once' },
      });
    const first = await ask();
    // As the key stands when the process died after its commit and the lock has run out.
    await api
      .db('idempotency_keys')
      .where({ tenant_id: tenant.tenantId })
      .update({ state: 'running', status: null, locked_until: new Date(0) });
    const second = await ask();

    expect([second.status, second.headers.get('Idempotency-Replayed')]).toEqual([202, null]);
    expect(dataOf(second, 202).run).toEqual(dataOf(first, 202).run);
    expect(second.body.meta.workflow).toBe('started');
    expect(await runsOf(id)).toHaveLength(1);
  });

  test('holds while Temporal is down, and says that the workflow is pending', async () => {
    const temporal = connectTemporal(
      {
        TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`,
        TEMPORAL_NAMESPACE: 'carillon',
        TEMPORAL_TLS: false,
      },
      inClear,
    );
    const cutOff = await startTestApi({
      campaigns: createCampaignWorkflows(temporal, { startMs: 300, steerMs: 300 }),
    });
    try {
      const { token } = await buildTenant(cutOff.deps);
      const { id } = await postCampaign(cutOff, { token });
      const path = `${campaignsPath}/${id}`;
      const answer = await cutOff.send('post', `${path}/send`, { token, json: {} });
      expect(dataOf(answer, 202).status).toBe('scheduled');
      expect(answer.body.meta.workflow).toBe('pending');
      expect(await cutOff.db('campaign_runs').where({ campaign_id: id })).toMatchObject([
        { state: 'planning', workflow_started_at: null },
      ]);

      const paused = await cutOff.send('post', `${path}/pause`, { token, json: {} });
      expect(dataOf(paused, 202)).toMatchObject({ status: 'paused', run: { gate: 'paused' } });
      expect(paused.body.meta.workflow).toBe('pending');
    } finally {
      await cutOff.stop();
      await temporal.connection.close();
    }
  });

  test('is not for a viewer', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant);
    const answer = await post(`${id}/send`, { token: tenant.tokenOf('viewer') }, {});
    expect(answer.status).toBe(403);
    expect(await runsOf(id)).toEqual([]);
  });
});

const wrongSchedules: [string, unknown, string, string][] = [
  ['none', undefined, 'schedule', 'required'],
  ['a word', 'now', 'schedule', 'wrongType'],
  ['no kind', {}, 'schedule.kind', 'notAllowed'],
  ['an unknown kind', { kind: 'soon' }, 'schedule.kind', 'notAllowed'],
  ['a field of another kind', { kind: 'now', at: inDays(1) }, 'schedule.at', 'unknownField'],
  ['no instant', { kind: 'instant' }, 'schedule.at', 'required'],
  ['a number as instant', { kind: 'instant', at: 1 }, 'schedule.at', 'wrongType'],
  [
    'an instant without offset',
    { kind: 'instant', at: '2027-01-01T10:00:00' },
    'schedule.at',
    'wrongFormat',
  ],
  [
    'a day that is none',
    { kind: 'instant', at: '2027-02-30T10:00:00Z' },
    'schedule.at',
    'wrongFormat',
  ],
  ['a past instant', { kind: 'instant', at: inDays(-1) }, 'schedule.at', 'pastInstant'],
  ['a far instant', { kind: 'instant', at: inDays(800) }, 'schedule.at', 'tooFarAhead'],
  ['a short window', { kind: 'now', windowMinutes: 4 }, 'schedule.windowMinutes', 'tooSmall'],
  ['a long window', { kind: 'now', windowMinutes: 1441 }, 'schedule.windowMinutes', 'tooBig'],
  ['half a minute', { kind: 'now', windowMinutes: 5.5 }, 'schedule.windowMinutes', 'wrongType'],
  [
    'quiet hours without an end',
    { kind: 'now', quietHours: { from: '21:00' } },
    'schedule.quietHours.to',
    'required',
  ],
  [
    'quiet hours all day',
    { kind: 'now', quietHours: { from: '21:00', to: '21:00' } },
    'schedule.quietHours',
    'tooLong',
  ],
  [
    'a cap of nothing',
    { kind: 'now', frequencyCap: { messages: 0, days: 7 } },
    'schedule.frequencyCap.messages',
    'tooSmall',
  ],
  [
    'a cap for a year',
    { kind: 'now', frequencyCap: { messages: 1, days: 366 } },
    'schedule.frequencyCap.days',
    'tooBig',
  ],
  ['no time', { kind: 'localHour', date: tomorrow }, 'schedule.time', 'required'],
  ['no date', { kind: 'localHour', time: '09:00' }, 'schedule.date', 'required'],
  [
    '29 February of 2027',
    { kind: 'localHour', date: '2027-02-29', time: '09:00' },
    'schedule.date',
    'wrongFormat',
  ],
  [
    '25 o’clock',
    { kind: 'localHour', date: tomorrow, time: '25:00' },
    'schedule.time',
    'wrongFormat',
  ],
  ['24:00', { kind: 'localHour', date: tomorrow, time: '24:00' }, 'schedule.time', 'wrongFormat'],
  [
    'a time with seconds',
    { kind: 'localHour', date: tomorrow, time: '09:00:30' },
    'schedule.time',
    'wrongFormat',
  ],
  [
    'a time of one digit',
    { kind: 'localHour', date: tomorrow, time: '9:00' },
    'schedule.time',
    'wrongFormat',
  ],
  [
    'an unknown policy for zones',
    { kind: 'localHour', date: tomorrow, time: '09:00', unknownZone: 'Europe/Berlin' },
    'schedule.unknownZone',
    'notAllowed',
  ],
  [
    'an unknown policy for past hours',
    { kind: 'localHour', date: tomorrow, time: '09:00', hourPast: 'never' },
    'schedule.hourPast',
    'notAllowed',
  ],
  [
    'an hour that is over everywhere',
    { kind: 'localHour', date: inDays(-3).slice(0, 10), time: '09:00', hourPast: 'skip' },
    'schedule.date',
    'pastHour',
  ],
  [
    'a far day',
    { kind: 'localHour', date: inDays(800).slice(0, 10), time: '09:00' },
    'schedule.date',
    'tooFarAhead',
  ],
];

describe('a schedule with a mistake', () => {
  let tenant: TestTenant;
  let id: string;
  let openId: string;

  beforeAll(async () => {
    tenant = await buildTenant(api.deps);
    ({ id } = await postCampaign(api, tenant));
    openId = (await postCampaign(api, tenant)).id;
    dataOf(
      await post(`${openId}/schedule`, tenant, { schedule: { kind: 'instant', at: inDays(1) } }),
      202,
    );
  });

  test.each(wrongSchedules)('%s is refused everywhere', async (_, schedule, path, code) => {
    for (const way of [`${id}/plan`, `${id}/schedule`, `${openId}/reschedule`]) {
      const answer = await post(way, tenant, { schedule });
      expect([answer.status, answer.body.errors]).toMatchObject([422, [{ path, code }]]);
    }
    expect(await runsOf(id)).toEqual([]);
    expect(await runsOf(openId)).toMatchObject([
      { plan_version: 1, schedule: { kind: 'instant' } },
    ]);
  });

  test.each([
    [{ doubtPolicy: 'guess' }, 'doubtPolicy', 'notAllowed'],
    [{ doubtDeadlineMinutes: 0 }, 'doubtDeadlineMinutes', 'tooSmall'],
    [{ doubtDeadlineMinutes: 10_081 }, 'doubtDeadlineMinutes', 'tooBig'],
    [{ at: inDays(1) }, 'at', 'unknownField'],
  ])('%j is refused', async (options, path, code) => {
    for (const [way, json] of [
      ['schedule', { schedule: { kind: 'now' }, ...options }],
      ['send', options],
    ] as const) {
      const answer = await post(`${id}/${way}`, tenant, json);
      expect([answer.status, answer.body.errors]).toMatchObject([422, [{ path, code }]]);
    }
    expect(await runsOf(id)).toEqual([]);
  });
});
