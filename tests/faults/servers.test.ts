import { startProcessGround, type ProcessGround } from '../../bench/chaos/ground';
import { setSandboxFaults } from '../../bench/chaos/sandboxFigures';
import { bringBack } from '../../bench/chaos/storm';
import { until } from '../support/conditions';
import {
  callsPassedAfter,
  dispatchStates,
  everybodyOnce,
  fire,
  settle,
  timings,
  untilAccepted,
  untilNothingIsHeld,
  writeGate,
} from './support';

jest.setTimeout(120_000);

let ground: ProcessGround;

beforeAll(async () => {
  ground = await startProcessGround({ ...timings, workers: 2, restartAfterMs: 200 });
}, 90_000);

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
  const startedAt = Date.now();
  const pausedAt = await writeGate(ground, campaign, 'paused');
  expect(Date.now() - startedAt).toBeLessThan(1_000);
  await untilNothingIsHeld(ground, campaign);
  expect(await callsPassedAfter(ground, campaign, pausedAt)).toBe(0);
  expect((await dispatchStates(ground, campaign))['planned']).toBeGreaterThan(0);

  await bringBack(ground.temporalServer);
  await writeGate(ground, campaign, 'open');
  await until('the workflow to hear of it', () =>
    ground.campaigns.steerCampaign('resume', campaign, {}).catch(() => false as const),
  );
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});
