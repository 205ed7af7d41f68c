import type { DoubtPolicy } from '../../domain/campaigns/types';
import { planWaves } from '../../domain/campaigns/waves';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import type { WavePlanner } from '../../models/campaigns/planning';
import { getRun, requestReschedule, setGate, type CampaignRun } from '../../models/campaigns/runs';
import { countRun } from '../../models/messages/counts';
import { acrossTenants } from '../../models/base';
import { storeEvents } from '../../models/messages/events';
import { recordHistories } from '../replay/record';
import { ensureStandingWork } from '../../workers/schedules';
import {
  campaignWorkflowId,
  runWorkflowId,
  waveWorkflowId,
} from '../../workflows/campaigns/messages';
import { startCampaignGround, startRun, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { wavesIn } from '../support/plans';
import { insertCampaign, insertCustomers, insertTenant } from '../support/records';
import { clearFaults, sandboxCalls, sandboxStats, setFaults } from '../support/sandboxControl';

const user = { kind: 'user', id: null } as const;
/** The campaign of the test that runs now. */
let newest: string | null = null;
let planner: WavePlanner = planWaves;
let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround({
    deps: { planner: (input) => planner(input) },
  });
  await ground.startWorker();
  await ensureStandingWork(ground.temporal.client);
});

afterEach(async () => {
  if (newest !== null) {
    const story = expect.getState().currentTestName ?? 'campaign';
    await recordHistories(
      ground.temporal.client,
      story.replace(/[^a-z]+/gi, '-').slice(0, 60),
      newest,
    );
  }
  planner = planWaves;
  await clearFaults(ground.sandbox);
});

afterAll(() => ground.stop());

/** A campaign of its own tenant on its way: its customers, its run and ways to look at it. */
async function send(options: {
  zones?: string[];
  customersPerZone?: number;
  at?: 'now' | number;
  doubtPolicy?: DoubtPolicy;
  doubtDeadlineMs?: number;
  startWorkflow?: boolean;
}) {
  const tenantId = await insertTenant(ground.db);
  const zones = options.zones ?? ['Europe/Paris'];
  const perZone = options.customersPerZone ?? 3;
  const prefix = newId().slice(-8);
  await insertCustomers(
    ground.db,
    tenantId,
    zones.flatMap((timeZone, z) =>
      Array.from({ length: perZone }, (_, i) => ({
        email: `${prefix}-${z}-${i}@example.com`,
        timeZone,
      })),
    ),
  );
  const campaignId = await insertCampaign(ground.db, tenantId);
  newest = campaignId;
  const at = options.at ?? 'now';
  const run = await startRun(ground, tenantId, campaignId, {
    schedule:
      at === 'now'
        ? { kind: 'now' }
        : { kind: 'instant', at: new Date(Date.now() + at).toISOString() },
    ...(options.doubtPolicy === undefined ? {} : { doubtPolicy: options.doubtPolicy }),
    ...(options.doubtDeadlineMs === undefined ? {} : { doubtDeadlineMs: options.doubtDeadlineMs }),
    ...(options.startWorkflow === undefined ? {} : { startWorkflow: options.startWorkflow }),
  });
  const ref = { tenantId, campaignId };
  return {
    run,
    ref,
    total: zones.length * perZone,
    handle: ground.temporal.client.workflow.getHandle(campaignWorkflowId(tenantId, campaignId)),
    counts: () => withTenant(ground.db, tenantId, (trx) => countRun(trx, tenantId, run.id)),
    current: (): Promise<CampaignRun> =>
      withTenant(ground.db, tenantId, (trx) => getRun(trx, tenantId, run.id)),
    gate: (gate: 'open' | 'paused' | 'closed') =>
      withTenant(ground.db, tenantId, (trx) =>
        setGate(trx, { tenantId, runId: run.id, gate, reason: null, actor: user }),
      ),
    calls: () => sandboxCalls(ground.sandbox, run.id),
  };
}

test('forty waves of one instant all make their call, none earlier and none late', async () => {
  const zones = Intl.supportedValuesOf('timeZone').slice(0, 40);
  planner = wavesIn(Object.fromEntries(zones.map((zone) => [zone, 4_000])));
  const sent = await send({ zones, customersPerZone: 5 });
  await sent.handle.result();
  const waves = await ground.db('waves').where({ run_id: sent.run.id });
  expect(waves).toHaveLength(40);
  const startsAtMs = waves[0].starts_at.getTime();
  const calls = await sent.calls();
  expect(calls).toHaveLength(40);
  const delays = calls.map((call) => Date.parse(call.receivedAt) - startsAtMs);
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
  // How soon is shown by bench:waves on processes of their own.
  expect(Math.max(...delays)).toBeLessThanOrEqual(waves[0].closes_at.getTime() - startsAtMs);
});

test('waves wait for their own instants', async () => {
  planner = wavesIn({ 'Europe/Paris': 500, 'Asia/Tokyo': 2_000 });
  const sent = await send({ zones: ['Europe/Paris', 'Asia/Tokyo'] });
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 6 });
  const waves = await ground.db('waves').where({ run_id: sent.run.id }).orderBy('n');
  const calls = await sent.calls();
  expect(calls).toHaveLength(2);
  calls.forEach((call, i) => {
    const delay = Date.parse(call.receivedAt) - waves[i].starts_at.getTime();
    expect(delay).toBeGreaterThanOrEqual(0);
  });
});

test('a pause in the records alone stops new calls, and resume goes on', async () => {
  await setFaults(ground.sandbox, { latencyMs: 150 });
  const zones = Intl.supportedValuesOf('timeZone').slice(0, 60);
  const sent = await send({ zones, customersPerZone: 2 });
  await until('some calls', async () => (await sent.calls()).length > 5);
  const { run } = await sent.gate('paused');
  expect(run.gate).toBe('paused');
  const pausedAt = Date.now();
  // The calls under way end; whatever comes later would show among the received ones.
  const settled = await until('the running calls to end', async () => {
    const counts = await sent.counts();
    const calling = await ground.db('dispatches').where({ run_id: run.id, state: 'calling' });
    return calling.length === 0 && counts;
  });
  expect(settled.open).toBeGreaterThan(0);
  await ground.deps.signalSteering(sent.ref);
  await until(
    'the campaign to show that it is paused',
    async () => (await sent.handle.query<{ status: string }>('status')).status === 'paused',
  );
  const late = (await sent.calls()).filter(
    (call) => Date.parse(call.receivedAt) > pausedAt + 1_000,
  );
  expect(late).toEqual([]);
  await sent.gate('open');
  await sent.handle.executeUpdate('resume', { args: [{ actor: user }] });
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: sent.total });
  expect((await sent.counts()).accepted).toBe(sent.total);
});

test('an operator pauses and resumes by updates without input', async () => {
  planner = wavesIn({ 'Europe/Paris': 1_000 });
  const sent = await send({});
  await sent.handle.executeUpdate('pause');
  expect(await sent.current()).toMatchObject({ gate: 'paused' });
  await until('the wave to stand still past its instant', async () => {
    const [wave] = await ground.db('waves').where({ run_id: sent.run.id });
    return wave !== undefined && wave.starts_at.getTime() + 500 < Date.now();
  });
  expect(await sent.calls()).toEqual([]);
  await sent.handle.executeUpdate('resume');
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 3 });
  const log = await ground
    .db('campaign_log')
    .where({ run_id: sent.run.id, actor_kind: 'operator' });
  expect(log.map((entry) => entry.kind).sort((a, b) => a.localeCompare(b))).toEqual([
    'paused',
    'resumed',
  ]);
});

test('cancelling the workflow in the Temporal UI cancels the rest, with counts that add up', async () => {
  planner = wavesIn({ 'Europe/Paris': 300, 'Asia/Tokyo': 60_000 });
  const sent = await send({ zones: ['Europe/Paris', 'Asia/Tokyo'] });
  await until('the first wave', async () => (await sent.counts()).accepted === 3);
  await sent.handle.cancel();
  expect(await sent.handle.result()).toMatchObject({ status: 'cancelled' });
  expect(await sent.counts()).toMatchObject({ planned: 6, accepted: 3, cancelled: 3, open: 0 });
  expect(await sent.current()).toMatchObject({ state: 'cancelled', gate: 'closed' });
  expect(await sent.calls()).toHaveLength(1);
});

test('cancelling the run alone, or one wave, is taken as that', async () => {
  planner = wavesIn({ 'Europe/Paris': 60_000, 'Asia/Tokyo': 60_001 });
  const sent = await send({ zones: ['Europe/Paris', 'Asia/Tokyo'] });
  const { client } = ground.temporal;
  const runId = runWorkflowId(sent.ref.tenantId, sent.ref.campaignId, 1);
  const wave = client.workflow.getHandle(waveWorkflowId(runId, 1, 1));
  await until('the wave', () =>
    wave.describe().then(
      () => true,
      () => false,
    ),
  );
  await wave.cancel();
  await until('the wave to be cancelled', async () => (await sent.counts()).cancelled === 3);
  await client.workflow.getHandle(runId).cancel();
  expect(await sent.handle.result()).toMatchObject({ status: 'cancelled' });
  expect(await sent.counts()).toMatchObject({ planned: 6, cancelled: 6, open: 0 });
});

test('a terminated wave is run again for what it left open', async () => {
  planner = wavesIn({ 'Europe/Paris': 1_500 });
  const sent = await send({});
  const runId = runWorkflowId(sent.ref.tenantId, sent.ref.campaignId, 1);
  const wave = ground.temporal.client.workflow.getHandle(waveWorkflowId(runId, 1, 1));
  await until('the wave', () =>
    wave.describe().then(
      () => true,
      () => false,
    ),
  );
  await wave.terminate('by a test');
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 3 });
});

test('a lane whose wave is through sends what another wave has due', async () => {
  planner = wavesIn({ 'Europe/Paris': 6_000, 'Asia/Tokyo': 60_000 });
  const sent = await send({ zones: ['Europe/Paris', 'Asia/Tokyo'] });
  const waves = () => ground.db('waves').where({ run_id: sent.run.id });
  await until('the plan', async () => (await waves()).length === 2);
  // The other wave is due as well, and its own lanes are not up yet.
  const [first] = await waves().where({ n: 1 });
  await waves().where({ n: 2 }).update({ starts_at: first.starts_at });
  const runId = runWorkflowId(sent.ref.tenantId, sent.ref.campaignId, 1);
  const wave = ground.temporal.client.workflow.getHandle(waveWorkflowId(runId, 1, 1));
  await until('all calls', async () => (await sent.counts()).accepted === 6);
  expect(await wave.result()).toMatchObject({ n: 1, ended: 'done', accepted: 6 });
  expect((await sent.calls()).map(({ recipients }) => recipients)).toEqual([3, 3]);
  await sent.gate('closed');
  await sent.handle.executeUpdate('cancel', { args: [{ actor: user }] });
  expect(await sent.handle.result()).toMatchObject({ accepted: 6, open: 0 });
});

test('cancel against 429: what was throttled ends cancelled', async () => {
  await setFaults(ground.sandbox, { rate429: 1, retryAfterSeconds: 30 });
  const sent = await send({});
  await until('a throttled call', async () => {
    const [dispatch] = await ground.db('dispatches').where({ run_id: sent.run.id });
    return dispatch?.wait_reason === 'throttled';
  });
  await sent.gate('closed');
  await sent.handle.executeUpdate('cancel', { args: [{ actor: user }] });
  expect(await sent.handle.result()).toMatchObject({ status: 'cancelled' });
  expect(await sent.counts()).toMatchObject({ planned: 3, accepted: 0, cancelled: 3 });
  await ground.db('provider_accounts').update({ blocked_until: null });
});

test('a throttled account waits as long as it is asked to, then everything is sent once', async () => {
  await setFaults(ground.sandbox, { rate429: 1, retryAfterSeconds: 1, count: 1 });
  const sent = await send({ zones: ['Europe/Paris', 'Asia/Tokyo', 'Asia/Seoul'] });
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 9 });
  const attempts = await ground.db('dispatch_attempts').where({ run_id: sent.run.id });
  expect(attempts.filter((attempt) => attempt.outcome === 'throttled')).toHaveLength(1);
  expect((await sandboxStats(ground.sandbox)).duplicates).toEqual([]);
});

function rescheduleToNow(sent: Awaited<ReturnType<typeof send>>): Promise<unknown> {
  return withTenant(ground.db, sent.ref.tenantId, (trx) =>
    requestReschedule(trx, {
      tenantId: sent.ref.tenantId,
      runId: sent.run.id,
      schedule: { kind: 'now' },
      actor: user,
    }),
  );
}

test('reschedule moves waiting waves and sends nobody twice', async () => {
  planner = wavesIn({ 'Europe/Paris': 200, 'Asia/Tokyo': 60_000 });
  const sent = await send({ zones: ['Europe/Paris', 'Asia/Tokyo'] });
  await until('the first wave', async () => (await sent.counts()).accepted === 3);
  planner = wavesIn({ 'Asia/Tokyo': 400 });
  await rescheduleToNow(sent);
  await sent.handle.executeUpdate('reschedule', { args: [{ actor: user }] });
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 6 });
  expect(await sent.calls()).toHaveLength(2);
  expect((await sandboxStats(ground.sandbox)).duplicates).toEqual([]);
});

test('a reschedule right after the plan reaches waves that have not begun', async () => {
  const zones = Intl.supportedValuesOf('timeZone').slice(0, 40);
  planner = wavesIn(Object.fromEntries(zones.map((zone) => [zone, 600_000])));
  const sent = await send({ zones, customersPerZone: 1 });
  await until('the plan', async () => (await sent.current()).planSealedAt !== null);
  planner = planWaves;
  await rescheduleToNow(sent);
  await sent.handle.executeUpdate('reschedule', { args: [{ actor: user }] });
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 40 });
});

test('a reschedule before the plan is written waits for the new instant', async () => {
  const sent = await send({ at: 2 * 3_600_000 });
  await until('the run to wait', async () => {
    const { explanation } = await sent.handle.query<{ explanation: string }>('status');
    return explanation.startsWith('Scheduled');
  });
  await rescheduleToNow(sent);
  await sent.handle.executeUpdate('reschedule', { args: [{ actor: user }] });
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 3 });
});

test('a call whose answer is lost is in doubt, is not made again, and is settled by an event', async () => {
  await setFaults(ground.sandbox, { dropAfterAccept: 1 });
  const sent = await send({});
  await until('the doubt', async () => (await sent.counts()).inDoubt === 3);
  await until('the run to say so', async () => {
    const { explanation } = await sent.handle.query<{ explanation: string }>('status');
    return explanation.includes('in doubt');
  });
  await clearFaults(ground.sandbox);
  await acrossTenants(ground.db, 'eventIntake', (trx) =>
    storeEvents(trx, [
      {
        providerEventId: newId(),
        source: 'sendgrid',
        runId: sent.run.id,
        dispatchN: 1,
        attempt: 1,
        messageN: 1,
        kind: 'processed',
        occurredAt: new Date(),
        suppress: null,
        machine: false,
        detail: {},
      },
    ]),
  );
  expect(await sent.handle.result()).toMatchObject({
    status: 'completed',
    accepted: 3,
    inDoubt: 0,
  });
  expect(await sent.calls()).toHaveLength(1);
});

test('a doubt that is held to its deadline ends as unconfirmed and completes the run', async () => {
  await setFaults(ground.sandbox, { dropAfterAccept: 1 });
  const sent = await send({ doubtDeadlineMs: 1_000 });
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 0 });
  expect(await sent.counts()).toMatchObject({ unconfirmed: 3, open: 0 });
  expect(await sent.calls()).toHaveLength(1);
});

test('send again: a call that surely never arrived is made a second time after the deadline', async () => {
  await setFaults(ground.sandbox, { dropBeforeAccept: 1, count: 1 });
  const sent = await send({ doubtDeadlineMs: 500, doubtPolicy: 'sendAgain' });
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 3 });
  expect((await sent.calls()).map((call) => call.customArgs['carillon_d'])).toContain('1.2');
});

test('an error of the whole message holds the run with its reason until somebody resumes', async () => {
  await setFaults(ground.sandbox, {
    refuse: {
      status: 400,
      errors: [{ message: 'The from address is not verified', field: 'from' }],
    },
  });
  const sent = await send({});
  const held = await until('the run to be held', async () => {
    const run = await sent.current();
    return run.gate === 'paused' && run;
  });
  expect(held.gateReason).toContain('The from address is not verified');
  await clearFaults(ground.sandbox);
  await sent.gate('open');
  await sent.handle.executeUpdate('resume', { args: [{ actor: user }] });
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 3 });
});

test('recipients the provider names are refused, the others are sent', async () => {
  const sent = await send({ startWorkflow: false });
  const [customer] = await ground.db('customers').where({ tenant_id: sent.ref.tenantId });
  await setFaults(ground.sandbox, { rejectRecipients: [customer.email] });
  await ground.deps.startCampaign({ ...sent.run, name: 'Spring sale' });
  expect(await sent.handle.result()).toMatchObject({
    status: 'completed',
    accepted: 2,
    refused: 1,
  });
});

test('a wave that closes with calls left gives them a new wave by the policy', async () => {
  await setFaults(ground.sandbox, { rate429: 1, retryAfterSeconds: 2, count: 1 });
  let planned = 0;
  planner = (input) => {
    planned += 1;
    // Counted, planned, then late.
    return wavesIn({ 'Europe/Paris': 100 }, planned <= 2 ? 700 : 60_000)(input);
  };
  const sent = await send({});
  expect(await sent.handle.result()).toMatchObject({ status: 'completed', accepted: 3 });
  const waves = await ground.db('waves').where({ run_id: sent.run.id }).orderBy('n');
  expect(waves.map((wave) => wave.kind)).toEqual(['planned', 'late']);
  for (const call of await sent.calls()) {
    const at = Date.parse(call.receivedAt);
    expect(
      waves.some((wave) => wave.starts_at.getTime() <= at && at <= wave.closes_at.getTime()),
    ).toBe(true);
  }
});

test('a run that a crash left without a workflow is started by the reconciler', async () => {
  const sent = await send({ startWorkflow: false });
  await ground
    .db('campaign_runs')
    .where({ id: sent.run.id })
    .update({
      created_at: new Date(Date.now() - 60_000),
    });
  expect(
    await until(
      'the run to complete',
      async () => (await sent.current()).state === 'completed',
      30_000,
    ),
  ).toBe(true);
});

test('a terminated campaign is failed and its gate closed by the reconciler', async () => {
  planner = wavesIn({ 'Europe/Paris': 60_000 });
  const sent = await send({});
  await until('the plan', async () => (await sent.current()).state === 'waiting');
  await ground
    .db('campaign_runs')
    .where({ id: sent.run.id })
    .update({
      created_at: new Date(Date.now() - 60_000),
    });
  await sent.handle.terminate('by a test');
  const failed = await until(
    'the run to fail',
    async () => {
      const run = await sent.current();
      return run.state === 'failed' && run;
    },
    30_000,
  );
  expect(failed).toMatchObject({ gate: 'closed', failure: expect.stringContaining('terminated') });
  expect(await sent.counts()).toMatchObject({ cancelled: 3, open: 0 });
});
