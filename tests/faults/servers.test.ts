import { writeCampaign } from '../../bench/chaos/campaign';
import { startProcessGround, type ProcessGround } from '../../bench/chaos/ground';
import { setSandboxFaults } from '../../bench/chaos/sandboxFigures';
import { bringBack } from '../../bench/chaos/storm';
import { until } from '../support/conditions';
import {
  ask,
  callsPassedAfter,
  dispatchStates,
  everybodyOnce,
  fire,
  pauseAtOnce,
  settle,
  timings,
  untilAccepted,
  untilNothingIsHeld,
} from './support';

let ground: ProcessGround;

beforeAll(async () => {
  ground = await startProcessGround({ ...timings, workers: 2, restartAfterMs: 200 });
});

beforeEach(() => setSandboxFaults(ground.sandboxUrl, { latencyMs: 300 }));

afterAll(() => ground.stop());

test('Temporal killed while slices run: they go on, and the campaign ends as it should', async () => {
  const campaign = await fire(ground, 120);
  await untilAccepted(ground, campaign, 10);
  await ground.temporalServer.kill9();
  const before = (await dispatchStates(ground, campaign))['accepted'] ?? 0;
  await untilAccepted(ground, campaign, before + 5);
  await bringBack(ground.temporalServer);
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});

test('Postgres killed while calls are under way: nobody is called twice', async () => {
  const campaign = await fire(ground, 120);
  await untilAccepted(ground, campaign, 10);
  await until('calls under way', async () => {
    const { calling = 0 } = await dispatchStates(ground, campaign);
    return calling > 1;
  });
  await ground.postgres.kill9();
  await bringBack(ground.postgres);
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});

test('a pause stops new calls within a second while Temporal is down, and a resume goes on', async () => {
  const campaign = await fire(ground, 120);
  await untilAccepted(ground, campaign, 10);
  await ground.temporalServer.kill9();
  const { pausedAt, answer } = await pauseAtOnce(ground, campaign);
  await untilNothingIsHeld(ground, campaign);
  expect(await callsPassedAfter(ground, campaign, pausedAt)).toBe(0);
  expect((await dispatchStates(ground, campaign))['planned']).toBeGreaterThan(0);

  expect(await answer).toEqual({ status: 202, workflow: 'pending' });

  await bringBack(ground.temporalServer);
  await ask(ground, campaign, 'resume');
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});

test('the API killed between writing a run and starting its workflow: it is started all the same', async () => {
  const customers = 200;
  const written = await writeCampaign(ground, customers, { zoneCount: 20 });
  // Without the server the start cannot get through. The API goes on trying for a while, but a
  // connection that is known to be dead may fail at once: then it has answered that it is pending.
  await ground.temporalServer.kill9();
  const asked = ask(ground, written, 'schedule', { schedule: { kind: 'now' } }).catch(() => null);
  const run = await until('the run to be written', async () => {
    const [row] = await ground.db('campaign_runs').where({ campaign_id: written.campaignId });
    return row;
  });
  await ground.api.kill9();
  expect([null, { status: 202, workflow: 'pending' }]).toContainEqual(await asked);
  expect(run).toMatchObject({ state: 'planning', workflow_started_at: null });

  await bringBack(ground.temporalServer);
  const campaign = { ...written, customers, run };
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});
