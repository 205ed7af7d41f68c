import type { LookUpRules } from '../../domain/messages/doubts/lookUps';
import type { DoubtEnd } from '../../domain/messages/doubts/types';
import { withTenant } from '../../models/base';
import type { CampaignRun } from '../../models/campaigns/runs';
import { settleDoubts } from '../../models/messages/doubtsSettle';
import type { WavePlanner } from '../../models/campaigns/planning';
import { campaignWorkflowId, runWorkflowId } from '../../workflows/campaigns/messages';
import { startCampaignGround, startRun, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { wavesIn } from '../support/plans';
import { insertCampaign, insertCustomers, insertTenant } from '../support/records';
import { clearFaults, sandboxCalls, setFaults } from '../support/sandboxControl';

// Hours in the world, moments here.
const rules: LookUpRules = {
  sendgrid: { firstAfterMs: 200, spacingMs: 100, absenceProvesAfterMs: null },
  twilio: { firstAfterMs: 200, spacingMs: 0, absenceProvesAfterMs: 1_500 },
  smtp: null,
  meta: null,
};

let ground: CampaignGround;
let planner: WavePlanner | undefined;

beforeAll(async () => {
  ground = await startCampaignGround({
    deps: {
      lookUpRules: rules,
      planner: (input) => (planner ?? wavesIn({ 'Europe/Paris': 100, 'Asia/Tokyo': 100 }))(input),
    },
  });
  await ground.startWorker();
});
beforeEach(() => {
  planner = undefined;
});
afterEach(() => clearFaults(ground.sandbox));
afterAll(() => ground.stop());

describe('SendGrid’s activity feed', () => {
  test('proves a call whose answer was lost, and the run completes without an event', async () => {
    await mayLookUp(true);
    await setFaults(ground.sandbox, { dropAfterAccept: 1 });
    const sent = await send();
    expect(await sent.result()).toMatchObject({ status: 'completed', accepted: 4, inDoubt: 0 });
    expect(await sent.attempts()).toMatchObject([
      { outcome: 'accepted', proven_by: 'lookUp', look_up_answer: 'found' },
      { outcome: 'accepted', proven_by: 'lookUp', look_up_answer: 'found' },
    ]);
    expect(await sent.calls()).toHaveLength(2);
  });

  test('that knows nothing of a call proves nothing: it is asked again, and the doubt stays', async () => {
    await mayLookUp(true);
    await setFaults(ground.sandbox, { dropBeforeAccept: 1 });
    const sent = await send();
    const [asked] = await until('a second look-up', async () => {
      const attempts = await sent.attempts();
      return attempts.some(({ look_ups: times }) => Number(times) >= 2) && attempts;
    });
    expect(asked).toMatchObject({ outcome: 'in_doubt', look_up_answer: expect.any(String) });
    expect(await sent.states()).toEqual(['in_doubt', 'in_doubt']);
    await until('the explanation', async () =>
      /2 calls in doubt: waits for events until .+ The provider was asked/.test(
        await sent.details(),
      ),
    );
    await sent.settleAll('unconfirmed');
    expect(await sent.result()).toMatchObject({ status: 'completed', accepted: 0 });
  });

  test('is not asked where the account has no licence', async () => {
    await mayLookUp(false);
    await setFaults(ground.sandbox, { dropAfterAccept: 1 });
    const sent = await send();
    await until('both in doubt', async () => (await sent.states()).join() === 'in_doubt,in_doubt');
    await sent.settleAll('accepted');
    expect(await sent.result()).toMatchObject({ status: 'completed', accepted: 4 });
    expect(await sent.attempts()).toMatchObject([
      { look_ups: 0, proven_by: 'operator' },
      { look_ups: 0, proven_by: 'operator' },
    ]);
  });
});

test('what a person calls unsent is sent while other waves still wait', async () => {
  await mayLookUp(false);
  planner = wavesIn({ 'Europe/Paris': 100, 'Asia/Tokyo': 3_600_000 });
  await setFaults(ground.sandbox, { dropBeforeAccept: 1, count: 1 });
  const sent = await send();
  await until('a doubt', async () => (await sent.states()).includes('in_doubt'));
  await sent.settleAll('notSent');
  await until('the second call', async () => (await sent.states()).includes('accepted'));
  expect((await sent.states()).toSorted()).toEqual(['accepted', 'planned']);
  expect((await sent.calls()).map(({ customArgs }) => customArgs['carillon_d'])).toEqual([
    expect.stringMatching(/^\d\.2$/),
  ]);
  await ground.temporal.client.workflow
    .getHandle(campaignWorkflowId(sent.run.tenantId, sent.run.campaignId))
    .cancel();
  expect(await sent.result()).toMatchObject({ status: 'cancelled', accepted: 2 });
});

async function mayLookUp(activityLookUp: boolean): Promise<void> {
  await ground.db.raw(
    `update provider_accounts
        set settings = settings || cast(? as jsonb), version = version + 1 where id = 'sendgrid'`,
    [JSON.stringify({ activityLookUp })],
  );
}

/** Two calls of two people each. */
async function send() {
  const tenantId = await insertTenant(ground.db);
  await insertCustomers(
    ground.db,
    tenantId,
    ['Europe/Paris', 'Asia/Tokyo', 'Europe/Paris', 'Asia/Tokyo'].map((timeZone, i) => ({
      email: `c${i}@doubt.example.com`,
      timeZone,
    })),
  );
  const campaignId = await insertCampaign(ground.db, tenantId);
  const run = await startRun(ground, tenantId, campaignId, { schedule: { kind: 'now' } });
  return sentRun(run);
}

function sentRun(run: CampaignRun) {
  const { tenantId, campaignId, id: runId, n: runN } = run;
  const { workflow } = ground.temporal.client;
  const attempts = (): Promise<Record<string, unknown>[]> =>
    ground.db('dispatch_attempts').where({ run_id: runId }).orderBy('dispatch_n');
  return {
    run,
    attempts,
    result: () => workflow.getHandle(campaignWorkflowId(tenantId, campaignId)).result(),
    calls: () => sandboxCalls(ground.sandbox, runId),
    async states(): Promise<string[]> {
      const rows = await ground.db('dispatches').where({ run_id: runId }).orderBy('n');
      return rows.map(({ state }) => state);
    },
    async details(): Promise<string> {
      const status = await workflow
        .getHandle(runWorkflowId(tenantId, campaignId, runN))
        .query<{ explanation: string }>('status');
      return status.explanation;
    },
    async settleAll(as: DoubtEnd): Promise<void> {
      await withTenant(ground.db, tenantId, (trx) =>
        settleDoubts(
          trx,
          { tenantId, runId, windowMinutes: 60 },
          { which: { calledBefore: null }, as, provenBy: 'operator' },
        ),
      );
      await ground.deps.signalRun(
        { tenantId, campaignId, runN },
        as === 'notSent' ? 'wavesAdded' : 'ledgerChanged',
      );
    },
  };
}
