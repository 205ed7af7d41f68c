import { startProcessGround, type ProcessGround } from '../../bench/chaos/ground';
import type { OurProcess } from '../../bench/chaos/ourProcess';
import { sandboxFigures, setSandboxFaults } from '../../bench/chaos/sandboxFigures';
import { setLimits } from '../../models/messages/accountLimits';
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
  untilEverythingIsCalled,
  untilNothingIsHeld,
} from './support';

let ground: ProcessGround;
let first: OurProcess;
let second: OurProcess;

beforeAll(async () => {
  ground = await startProcessGround({ ...timings, workers: 2, areWorkersIdle: true });
  [first, second] = [ground.workers[0] ?? ground.api, ground.workers[1] ?? ground.api];
});

afterEach(async () => {
  await Promise.all(ground.workers.map((worker) => worker.stop()));
  await setSandboxFaults(ground.sandboxUrl, {});
});

afterAll(() => ground.stop());

const limitTo = (most: number) =>
  ground.db.transaction((trx) =>
    setLimits(trx, 'sendgrid', [{ per: 'minute', unit: 'messages', most }]),
  );

test('a worker frozen past its lease calls nobody again when it wakes', async () => {
  await setSandboxFaults(ground.sandboxUrl, { latencyMs: 400 });
  await first.start();
  // At this rate a claim waits for its turn long enough to be seen.
  await limitTo(1_200);
  const { delivered: before } = await sandboxFigures(ground.sandboxUrl);
  const campaign = await fire(ground, 60);
  // Frozen between its gate and its bytes, a call is in doubt for long: nobody will ever tell of it.
  const haveArrived = async ({ accepted = 0, calling = 0 }: Record<string, number>) => {
    const { delivered } = await sandboxFigures(ground.sandboxUrl);
    return delivered - before >= (accepted + calling) * 10;
  };
  const held = await until(
    'the worker to be frozen with a claim and a call in hand',
    async () => {
      if (!holdsBoth(await dispatchStates(ground, campaign))) {
        return false;
      }
      first.freeze();
      const states = await dispatchStates(ground, campaign);
      if (holdsBoth(states) && (await haveArrived(states))) {
        return states;
      }
      first.thaw();
      return false;
    },
    60_000,
  );
  await second.start();
  await untilEverythingIsCalled(ground, campaign);
  expect(held).toMatchObject({ claimed: expect.any(Number), calling: expect.any(Number) });

  first.thaw();
  await first.ready();
  // A worker ends when each of its slices has returned.
  await first.stop();
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});

test('a worker frozen with the account in hand does not stop the others', async () => {
  await first.start();
  await limitTo(6_000_000);
  const holder = await ground.db.transaction();
  await holder('provider_limits').forUpdate().select('account_id');
  const campaign = await fire(ground, 30);
  await until('the worker to wait for the account', async () => {
    const waiting = await ground
      .db('pg_stat_activity')
      .where({ application_name: 'carillon-worker', wait_event_type: 'Lock' });
    return waiting.length > 0;
  });
  first.freeze();
  await holder.commit();
  await second.start();
  await untilEverythingIsCalled(ground, campaign);
  first.thaw();
  await first.ready();
  await first.stop();
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});

test('a pause while every worker is frozen is written at once and holds when they wake', async () => {
  await setSandboxFaults(ground.sandboxUrl, { latencyMs: 200 });
  await Promise.all([first.start(), second.start()]);
  const campaign = await fire(ground, 120);
  await untilAccepted(ground, campaign, 10);
  first.freeze();
  second.freeze();
  const { pausedAt, answer } = await pauseAtOnce(ground, campaign);
  first.thaw();
  second.thaw();
  await untilNothingIsHeld(ground, campaign);
  expect(await callsPassedAfter(ground, campaign, pausedAt)).toBe(0);
  expect((await dispatchStates(ground, campaign))['planned']).toBeGreaterThan(0);

  expect([200, 202]).toContain((await answer).status);
  await ask(ground, campaign, 'resume');
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});

test('a worker frozen after the pause wakes without a call', async () => {
  await setSandboxFaults(ground.sandboxUrl, { latencyMs: 200 });
  await first.start();
  const campaign = await fire(ground, 120);
  await untilAccepted(ground, campaign, 10);
  const { pausedAt, answer } = await pauseAtOnce(ground, campaign);
  first.freeze();
  await second.start();
  first.thaw();
  await untilNothingIsHeld(ground, campaign);
  expect(await callsPassedAfter(ground, campaign, pausedAt)).toBe(0);

  expect([200, 202]).toContain((await answer).status);
  await ask(ground, campaign, 'resume');
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});

function holdsBoth({ claimed = 0, calling = 0 }: Record<string, number>): boolean {
  return claimed > 0 && calling > 0;
}
