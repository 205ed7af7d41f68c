import { startProcessGround, type ProcessGround } from '../../bench/chaos/ground';
import type { OurProcess } from '../../bench/chaos/ourProcess';
import type { Knex } from '../../lib/db';
import { until } from '../support/conditions';
import { everybodyOnce, fire, settle, timings } from './support';

jest.setTimeout(150_000);

let ground: ProcessGround;
let worker: OurProcess;
let holder: Knex.Transaction | undefined;

beforeAll(async () => {
  ground = await startProcessGround({ ...timings, workers: 1, areWorkersIdle: true });
  worker = ground.workers[0] ?? ground.api;
});

afterEach(async () => {
  // Held by a test that failed, it would keep everything from ending.
  if (holder?.isCompleted() === false) {
    await holder.rollback();
  }
  await worker.stop();
});

afterAll(() => ground.stop());

/** Starts a campaign and holds its planning in the middle of the transaction. */
async function fireAndHoldPlanning() {
  const held = await ground.db.transaction();
  holder = held;
  await held.raw('lock table messages in share row exclusive mode');
  const campaign = await fire(ground, 20);
  await until('the planning to wait in its transaction', async () => {
    const found = await ground.db.raw(
      `select 1 from pg_stat_activity
        where application_name = 'carillon-worker' and wait_event_type = 'Lock'
          and query like '%insert into messages%'`,
    );
    return found.rows.length > 0;
  });
  const written = async () => {
    const [row] = await ground.db('campaign_runs').where({ id: campaign.run.id });
    const [waves] = await ground
      .db('waves')
      .where({ run_id: campaign.run.id })
      .count({ rows: '*' });
    const [messages] = await ground
      .db('messages')
      .where({ run_id: campaign.run.id })
      .count({ rows: '*' });
    return {
      isSealed: row.plan_sealed_at !== null,
      waves: waves?.rows,
      messages: messages?.rows,
    };
  };
  return { campaign, letGo: () => held.commit(), written };
}

test('planning killed before its commit leaves nothing and is done again', async () => {
  await worker.start();
  const { campaign, letGo, written } = await fireAndHoldPlanning();
  await worker.kill9();
  await letGo();
  await until('the dead transaction to be gone', async () => {
    const open = await ground
      .db('pg_stat_activity')
      .where({ application_name: 'carillon-worker' })
      .whereNotNull('xact_start');
    return open.length === 0;
  });
  expect(await written()).toEqual({ isSealed: false, waves: 0, messages: 0 });
  await worker.start();
  expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
});

test('planning killed between its commit and its report is not done twice', async () => {
  await worker.start();
  const { campaign, letGo, written } = await fireAndHoldPlanning();
  // Without the server the activity has nobody to report to.
  await ground.temporalServer.kill9();
  await letGo();
  await until('the plan to be sealed', async () => (await written()).isSealed);
  await worker.kill9();
  const sealed = await written();
  await ground.temporalServer.restart();
  await worker.start();
  const done = await settle(ground, campaign);
  expect(done).toMatchObject(everybodyOnce(campaign));
  expect(await written()).toEqual(sealed);
});
