import { ensureStandingWork } from '../../workers/schedules';
import { rotateSigningKeys } from '../../models/identity/signingKeys';
import { queues } from '../../workflows/queues';
import { testSealing } from '../support/accounts';
import { startCampaignGround, type CampaignGround } from '../support/campaignGround';

let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround({});
  await ground.startWorker();
});

afterAll(() => ground.stop());

let runs = 0;

function tend(): Promise<void> {
  runs += 1;
  return ground.temporal.client.workflow.execute('tendSignIn', {
    workflowId: `tendSignIn-${runs}`,
    taskQueue: queues.workflows,
  });
}

test('renews a signing key that is old, once, and forgets tokens that are over', async () => {
  const { db } = ground;
  const kid = await rotateSigningKeys(ground.deps.db, testSealing);
  await tend();
  expect(await db('signing_keys')).toHaveLength(1);

  await db('signing_keys').update({ created_at: db.raw(`now() - interval '31 days'`) });
  await db('sign_in_failures').insert({
    subject: Buffer.alloc(16, 1),
    failures: 3,
    last_at: db.raw(`now() - interval '3 days'`),
  });
  await tend();
  await tend();
  const keys = await db('signing_keys').orderBy('created_at');
  expect(keys).toHaveLength(2);
  expect(keys[0]).toMatchObject({ kid, verifies_until: expect.any(Date) });
  expect(await db('sign_in_failures')).toEqual([]);
  const entries = await db('audit_log').where({ action: 'signingKey.rotated' });
  expect(entries).toMatchObject([{ actor_kind: 'system', target_id: keys[1].kid }]);
});

test('stands on a Schedule of its own, however many workers start', async () => {
  await Promise.all([
    ensureStandingWork(ground.temporal.client),
    ensureStandingWork(ground.temporal.client),
  ]);
  const schedule = await ground.temporal.client.schedule.getHandle('tendSignIn').describe();
  expect(schedule.action).toMatchObject({ workflowType: 'tendSignIn' });
  await Promise.all(
    ['tendSignIn', 'tendLlm', 'reconcile'].map((id) =>
      ground.temporal.client.schedule.getHandle(id).delete(),
    ),
  );
});
