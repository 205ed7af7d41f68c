import { createCampaignWorkflows } from '../../../clients/campaigns';
import { campaignWorkflowId, statusQuery } from '../../../workflows/campaigns/messages';
import { startTestApi, type TestApi } from '../../support/api';
import { startCampaignGround, type CampaignGround } from '../../support/campaignGround';
import { campaignsPath, dataOf, postCampaign } from '../../support/campaigns';
import { until } from '../../support/conditions';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';
import { sandboxCalls, sandboxStats } from '../../support/sandboxControl';

let ground: CampaignGround;
let api: TestApi;

beforeAll(async () => {
  ground = await startCampaignGround();
  await ground.startWorker();
  api = await startTestApi({
    db: ground.db,
    temporal: ground.temporal,
    campaigns: createCampaignWorkflows(ground.temporal),
  });
});

afterAll(async () => {
  await api.stop();
  await ground.stop();
});

function inDays(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString();
}

function post(path: string, { token }: Pick<TestTenant, 'token'>, json?: unknown) {
  return api.send('post', `${campaignsPath}/${path}`, { token, json });
}

async function read(id: string, { token }: TestTenant) {
  return dataOf(await api.send('get', `${campaignsPath}/${id}`, { token }), 200);
}

/** A campaign of a fresh tenant that waits for tomorrow, with one customer. */
async function waiting() {
  const tenant = await buildTenant(api.deps);
  await buildCustomer(api.deps, { tenant });
  const { id } = await postCampaign(api, tenant);
  const schedule = { kind: 'instant', at: inDays(1) };
  const answer = await post(`${id}/schedule`, tenant, { schedule });
  return { tenant, id, run: dataOf(answer, 202).run };
}

async function logKinds(campaignId: string): Promise<string[]> {
  const entries: { kind: string }[] = await ground
    .db('campaign_log')
    .where({ campaign_id: campaignId })
    .orderBy('created_at');
  return entries.map(({ kind }) => kind);
}

function ended(id: string, tenant: TestTenant, status: string) {
  return until(`the campaign is ${status}`, async () => {
    const campaign = await read(id, tenant);
    return campaign.status === status && campaign;
  });
}

test('a campaign that is sent goes out and is completed', async () => {
  const tenant = await buildTenant(api.deps);
  await buildCustomer(api.deps, { tenant });
  const before = (await sandboxStats(ground.sandbox)).delivered;
  const { id } = await postCampaign(api, tenant);
  dataOf(await post(`${id}/send`, tenant, {}), 202);

  const { run } = await ended(id, tenant, 'completed');
  expect(run).toMatchObject({ gate: 'closed', completedAt: expect.any(String) });
  expect((await sandboxStats(ground.sandbox)).delivered).toBe(before + 1);
});

test('pause and resume hold in the records and reach the workflow', async () => {
  const { tenant, id } = await waiting();
  const paused = await post(`${id}/pause`, tenant, { reason: 'The price is wrong' });
  expect(dataOf(paused, 200)).toMatchObject({
    status: 'paused',
    run: { gate: 'paused', gateReason: 'The price is wrong' },
  });
  const workflowId = campaignWorkflowId(tenant.tenantId, id);
  expect(paused.body.meta).toEqual({ workflowId, workflow: 'informed' });
  const handle = ground.temporal.client.workflow.getHandle(workflowId);
  expect(await handle.query(statusQuery)).toMatchObject({ gate: 'paused' });

  const again = await post(`${id}/pause`, tenant);
  expect(dataOf(again, 200).run).toMatchObject({ gateReason: 'The price is wrong' });

  const resumed = await post(`${id}/resume`, tenant);
  expect(dataOf(resumed, 200)).toMatchObject({
    status: 'scheduled',
    run: { gate: 'open', gateReason: null },
  });
  expect(dataOf(await post(`${id}/resume`, tenant), 200).status).toBe('scheduled');
  expect(await logKinds(id)).toEqual(['created', 'scheduled', 'paused', 'resumed']);
  const [entry] = await ground.db('campaign_log').where({ campaign_id: id, kind: 'paused' });
  expect(entry).toMatchObject({ actor_kind: 'user', actor_id: tenant.userId });
});

test('reschedule moves what waits, and a paused campaign stays paused', async () => {
  const { tenant, id } = await waiting();
  await post(`${id}/pause`, tenant);
  const at = inDays(2);
  const moved = await post(`${id}/reschedule`, tenant, { schedule: { kind: 'instant', at } });
  expect(dataOf(moved, 200)).toMatchObject({
    status: 'paused',
    run: { n: 1, planVersion: 2, schedule: { kind: 'instant', at } },
  });
  const now = await post(`${id}/reschedule`, tenant, { schedule: { kind: 'now' } });
  expect(dataOf(now, 200).run.planVersion).toBe(3);
  dataOf(await post(`${id}/resume`, tenant), 200);
  await ended(id, tenant, 'completed');
});

test('cancel ends it, and it can be edited and scheduled again', async () => {
  const { tenant, id, run } = await waiting();
  const cancelled = await post(`${id}/cancel`, tenant, { reason: 'Too late' });
  expect(dataOf(cancelled, 200).run).toMatchObject({ gate: 'closed', gateReason: 'Too late' });
  await ended(id, tenant, 'cancelled');

  for (const way of ['pause', 'resume', 'cancel']) {
    const refused = await post(`${id}/${way}`, tenant);
    expect([way, refused.status, refused.body.code]).toEqual([way, 409, 'campaignNotScheduled']);
  }
  const edited = await api.send('patch', `${campaignsPath}/${id}`, {
    token: tenant.token,
    json: { content: { subject: 'Second try' } },
  });
  expect(dataOf(edited, 200).content.version).toBe(2);
  const again = await post(`${id}/send`, tenant, {});
  expect(dataOf(again, 202).run).toMatchObject({ n: 2, contentVersion: 2 });
  const { run: second } = await ended(id, tenant, 'completed');
  expect(second.id).not.toBe(run.id);
  expect(await sandboxCalls(ground.sandbox, run.id)).toEqual([]);
  expect(await sandboxCalls(ground.sandbox, second.id)).toHaveLength(1);
});

test('what is cancelled cannot be paused, resumed or moved while it ends', async () => {
  const { tenant, id, run } = await waiting();
  await ground.db('campaign_runs').where({ id: run.id }).update({ gate: 'closed' });
  const asked: [string, unknown?][] = [
    ['pause'],
    ['resume'],
    ['reschedule', { schedule: { kind: 'now' } }],
  ];
  for (const [way, json] of asked) {
    const refused = await post(`${id}/${way}`, tenant, json);
    expect([way, refused.body.code]).toEqual([way, 'campaignIsBeingCancelled']);
  }
  const [row] = await ground.db('campaign_runs').where({ id: run.id });
  expect(row).toMatchObject({ gate: 'closed', plan_version: 1 });
  expect((await post(`${id}/cancel`, tenant)).status).toBe(200);
});

test('a draft has nothing to steer', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postCampaign(api, tenant);
  for (const way of ['pause', 'resume', 'cancel']) {
    const refused = await post(`${id}/${way}`, tenant);
    expect([way, refused.status, refused.body.code]).toEqual([way, 409, 'campaignNotScheduled']);
  }
  const moved = await post(`${id}/reschedule`, tenant, { schedule: { kind: 'now' } });
  expect([moved.status, moved.body.code]).toEqual([409, 'campaignNotScheduled']);
  expect(await logKinds(id)).toEqual(['created']);
});

test('a viewer steers nothing', async () => {
  const { tenant, id, run } = await waiting();
  const token = tenant.tokenOf('viewer');
  for (const way of ['pause', 'resume', 'cancel']) {
    expect((await post(`${id}/${way}`, { token })).status).toBe(403);
  }
  expect((await read(id, tenant)).run).toEqual(run);
});

test.each([
  ['pause', 'a blank reason', { reason: ' ' }, 'reason', 'tooSmall'],
  ['pause', 'a long reason', { reason: 'x'.repeat(201) }, 'reason', 'tooBig'],
  ['cancel', 'a number as reason', { reason: 7 }, 'reason', 'wrongType'],
  ['cancel', 'an unknown field', { because: 'x' }, 'because', 'unknownField'],
  ['resume', 'a reason', { reason: 'x' }, 'reason', 'unknownField'],
])('%s with %s is refused and changes nothing', async (way, _, json, path, code) => {
  const { tenant, id, run } = await waiting();
  const answer = await post(`${id}/${way}`, tenant, json);
  expect([answer.status, answer.body.errors]).toMatchObject([422, [{ path, code }]]);
  expect((await read(id, tenant)).run).toEqual(run);
});

test('the same Idempotency-Key steers once', async () => {
  const { tenant, id } = await waiting();
  const ask = (days: number) =>
    api.send('post', `${campaignsPath}/${id}/reschedule`, {
      token: tenant.token,
      json: { schedule: { kind: 'localHour', date: `2027-01-0${days}`, time: '09:00' } },
      headers: { 'Idempotency-Key': 'move' },
    });
  const [first, second] = [await ask(1), await ask(1)];
  expect(second.body).toEqual(first.body);
  expect((await read(id, tenant)).run.planVersion).toBe(2);
  const other = await ask(2);
  expect([other.status, other.body.code]).toEqual([409, 'idempotencyKeyReused']);
  expect((await read(id, tenant)).run.planVersion).toBe(2);
});

test('without a worker it holds all the same, and says that the workflow is pending', async () => {
  const alone = await startTestApi();
  try {
    const { token } = await buildTenant(alone.deps);
    const { id } = await postCampaign(alone, { token });
    const ask = (way: string, json: unknown = {}) =>
      alone.send('post', `${campaignsPath}/${id}/${way}`, { token, json });
    expect((await ask('send')).body.meta.workflow).toBe('started');

    const asked: [string, unknown, object][] = [
      ['pause', {}, { gate: 'paused', planVersion: 1 }],
      ['resume', {}, { gate: 'open', planVersion: 1 }],
      ['reschedule', { schedule: { kind: 'instant', at: inDays(1) } }, { planVersion: 2 }],
      ['cancel', {}, { gate: 'closed', planVersion: 2 }],
    ];
    for (const [way, json, run] of asked) {
      const answer = await ask(way, json);
      expect(dataOf(answer, 202).run).toMatchObject(run);
      expect(answer.body.meta.workflow).toBe('pending');
    }
  } finally {
    await alone.stop();
  }
});
