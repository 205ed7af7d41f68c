import { createCampaignWorkflows } from '../../clients/campaigns';
import type { DoubtPolicy } from '../../domain/campaigns/types';
import type { LookUpRules } from '../../domain/messages/doubts/lookUps';
import type { DoubtEnd } from '../../domain/messages/doubts/types';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import type { CampaignRun } from '../../models/campaigns/runs';
import { createProviderAccount, makeDefault } from '../../models/messages/accounts';
import { settleDoubts } from '../../models/messages/doubtsSettle';
import type { WavePlanner } from '../../models/campaigns/planning';
import { DEMO_TWILIO_ACCOUNT } from '../../sandbox';
import { campaignWorkflowId, runWorkflowId } from '../../workflows/campaigns/messages';
import { testSealing } from '../support/accounts';
import { startTestApi, type TestApi } from '../support/api';
import { startCampaignGround, startRun, type CampaignGround } from '../support/campaignGround';
import { campaignsPath } from '../support/campaigns';
import { until } from '../support/conditions';
import { wavesIn } from '../support/plans';
import { insertCampaign, insertCustomers, insertTenant } from '../support/records';
import { tokenFor } from '../support/tokens';
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

  test('is asked while other waves still wait', async () => {
    await mayLookUp(true);
    planner = wavesIn({ 'Europe/Paris': 100, 'Asia/Tokyo': 3_600_000 });
    await setFaults(ground.sandbox, { dropAfterAccept: 1, count: 1 });
    const sent = await send();
    await until('the proof', async () => (await sent.states()).includes('accepted'));
    expect(await sent.attempts()).toMatchObject([{ outcome: 'accepted', proven_by: 'lookUp' }]);
    await until('the explanation', async () =>
      /1 wave waiting.+The provider was asked \d+ times?: 1 found, 0 not sent/.test(
        await sent.details(),
      ),
    );
    await sent.cancel();
    expect(await sent.result()).toMatchObject({ status: 'cancelled', accepted: 2 });
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

describe('the policy after the deadline', () => {
  beforeEach(() => mayLookUp(false));

  test('sendAgain makes the call once more while other waves still wait', async () => {
    planner = wavesIn({ 'Europe/Paris': 100, 'Asia/Tokyo': 3_600_000 });
    await setFaults(ground.sandbox, { dropBeforeAccept: 1, count: 1 });
    const sent = await send({ doubtPolicy: 'sendAgain', doubtDeadlineMs: 500 });
    await until('the second call', async () => (await sent.states()).includes('accepted'));
    expect((await sent.states()).toSorted()).toEqual(['accepted', 'planned']);
    await sent.cancel();
    expect(await sent.result()).toMatchObject({ status: 'cancelled', accepted: 2 });
  });

  test('assumeAccepted completes the run', async () => {
    await setFaults(ground.sandbox, { dropAfterAccept: 1 });
    const sent = await send({ doubtPolicy: 'assumeAccepted', doubtDeadlineMs: 500 });
    expect(await sent.result()).toMatchObject({ status: 'completed', accepted: 4, inDoubt: 0 });
    expect(await sent.attempts()).toMatchObject([
      { outcome: 'accepted', proven_by: 'policy' },
      { outcome: 'accepted', proven_by: 'policy' },
    ]);
  });
});

describe('people, over HTTP', () => {
  let api: TestApi;

  beforeAll(async () => {
    api = await startTestApi({
      db: ground.db,
      campaigns: createCampaignWorkflows(ground.temporal),
    });
  });
  afterAll(() => api.stop());

  const settle = async ({ tenantId, campaignId }: CampaignRun, path: string, as: DoubtEnd) =>
    api.send('post', `${campaignsPath}/${campaignId}/doubts/${path}`, {
      token: await tokenFor(api.deps, tenantId),
      json: {
        as,
        reason: 'Found in the logs of the provider',
        // Whoever comes late still speaks of the call that they looked at.
        ...(path === 'settle' ? {} : { attempt: 1 }),
      },
    });

  test('what they call unsent is sent while other waves still wait', async () => {
    await mayLookUp(false);
    planner = wavesIn({ 'Europe/Paris': 100, 'Asia/Tokyo': 3_600_000 });
    await setFaults(ground.sandbox, { dropBeforeAccept: 1, count: 1 });
    const sent = await send();
    await until('a doubt', async () => (await sent.states()).includes('in_doubt'));
    const answer = await settle(sent.run, 'settle', 'notSent');
    expect(answer.body).toMatchObject({
      data: { dispatches: 1, messages: 2, left: 0 },
      meta: { workflow: 'informed' },
    });
    await until('the second call', async () => (await sent.states()).includes('accepted'));
    expect((await sent.states()).toSorted()).toEqual(['accepted', 'planned']);
    expect((await sent.calls()).map(({ customArgs }) => customArgs['carillon_d'])).toEqual([
      expect.stringMatching(/^\d\.2$/),
    ]);
    await sent.cancel();
    expect(await sent.result()).toMatchObject({ status: 'cancelled', accepted: 2 });
  });

  test('of two who say the same of a call at once it is sent once more, not twice', async () => {
    await mayLookUp(false);
    await setFaults(ground.sandbox, { dropBeforeAccept: 1, count: 2 });
    const sent = await send();
    await until('both in doubt', async () => (await sent.states()).join() === 'in_doubt,in_doubt');
    const answers = await Promise.all(
      ['1/settle', '1/settle', '2/settle', 'settle'].map((path) =>
        settle(sent.run, path, 'notSent'),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await sent.result()).toMatchObject({ status: 'completed', accepted: 4, inDoubt: 0 });
    expect(await sent.calls()).toHaveLength(2);
    expect((await sent.attempts()).filter(({ outcome }) => outcome === 'accepted')).toHaveLength(2);
  });
});

describe('Twilio’s list of messages', () => {
  test('proves each message whose answer was lost', async () => {
    await setFaults(ground.sandbox, { dropAfterAccept: 1 });
    const sent = await sendTexts();
    expect(await sent.result()).toMatchObject({ status: 'completed', accepted: 4, inDoubt: 0 });
    expect(await sent.doubts()).toMatchObject(
      Array.from({ length: 4 }, () => ({
        outcome: 'accepted',
        proven_by: 'lookUp',
        look_up_answer: 'found',
        provider_message_id: expect.stringMatching(/^SM/),
      })),
    );
    expect(await sent.received()).toHaveLength(4);
  });

  test('shows which message was never taken, once its queues are empty: it is sent once more', async () => {
    await setFaults(ground.sandbox, { dropBeforeAccept: 1, count: 1 });
    const sent = await sendTexts();
    expect(await sent.result()).toMatchObject({ status: 'completed', accepted: 4, inDoubt: 0 });
    expect((await sent.doubts())[0]).toMatchObject({
      outcome: 'not_sent',
      proven_by: 'lookUp',
      look_up_answer: 'notFound',
    });
    expect((await sent.received()).toSorted()).toEqual(sent.phones);
  });

  test('is not asked for whom has another number now: their message is not sent twice', async () => {
    await setFaults(ground.sandbox, { dropAfterAccept: 1, count: 1 });
    const sent = await sendTexts({ areNumbersNew: true });
    const doubt = await until('an answer', async () =>
      (await sent.doubts()).find(({ look_up_answer: answer }) => answer !== null),
    );
    expect(doubt).toMatchObject({
      outcome: 'in_doubt',
      look_up_answer: 'unknown',
      look_up_reason: 'customer or account may have changed since',
    });
    await sent.settleAll('accepted');
    expect(await sent.result()).toMatchObject({ status: 'completed', accepted: 4 });
    expect(await sent.received()).toHaveLength(4);
  });
});

test('whoever settles a doubt at the same time as a look-up does not double it', async () => {
  await setFaults(ground.sandbox, { dropBeforeAccept: 1, count: 2 });
  const sent = await sendTexts();
  await until('two doubts', async () => (await sent.doubts()).length === 2);
  // Either may be the first for each call; the person says it again and again.
  await until('both to be sent', async () => {
    await sent.settleAll('notSent');
    return (await sent.doubts()).filter(({ outcome }) => outcome === 'accepted').length === 2;
  });
  expect(await sent.result()).toMatchObject({ status: 'completed', accepted: 4, inDoubt: 0 });
  expect((await sent.received()).toSorted()).toEqual(sent.phones);
});

async function mayLookUp(activityLookUp: boolean): Promise<void> {
  await ground.db.raw(
    `update provider_accounts
        set settings = settings || cast(? as jsonb), version = version + 1 where id = 'sendgrid'`,
    [JSON.stringify({ activityLookUp })],
  );
}

/** Two calls of two people each. */
async function send(doubt: { doubtPolicy?: DoubtPolicy; doubtDeadlineMs?: number } = {}) {
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
  const schedule = { kind: 'now' } as const;
  return sentRun(await startRun(ground, tenantId, campaignId, { schedule, ...doubt }));
}

let numbers = 0;

// Of their own in each test: a text to the same number at the same time might be another one's.
function newPhones(): string[] {
  numbers += 4;
  return [1, 2, 3, 4].map((n) => `+4930${1_000_000 + numbers + n}`);
}

/** Four texts, by an account of the tenant's own. */
async function sendTexts({ areNumbersNew = false } = {}) {
  const { db } = ground;
  const tenantId = await insertTenant(db);
  const key = { tenantId, id: newId() };
  const phones = newPhones();
  await withTenant(db, tenantId, async (trx) => {
    const account = {
      channel: 'sms',
      vendor: 'twilio',
      name: 'Twilio',
      settings: { accountSid: DEMO_TWILIO_ACCOUNT.accountSid, baseUrl: ground.sandbox.url },
      credentials: { authToken: DEMO_TWILIO_ACCOUNT.authToken },
      senders: [{ address: '+15005550006', name: null }],
      active: true,
    } as const;
    const extra = { createdBy: newId(), limitPerMinute: 0 };
    await createProviderAccount(
      trx,
      testSealing,
      key,
      { ...account, senders: [...account.senders] },
      extra,
    );
    await makeDefault(trx, key);
  });
  await insertCustomers(
    db,
    tenantId,
    phones.map((phone, i) => ({
      email: `c${i}@text.example.com`,
      phone,
      timeZone: 'Europe/Paris',
    })),
  );
  const longAgo = { updated_at: new Date(Date.now() - 60_000) };
  await db('provider_accounts').where({ id: key.id }).update(longAgo);
  if (!areNumbersNew) {
    await db('customers').where({ tenant_id: tenantId }).update(longAgo);
  }
  const campaignId = await insertCampaign(db, tenantId, { channel: 'sms' });
  const run = await startRun(ground, tenantId, campaignId, {
    channel: 'sms',
    schedule: { kind: 'now' },
  });
  return {
    ...sentRun(run),
    phones,
    /** The calls that were ever in doubt, each a dispatch of its own. */
    doubts: (): Promise<Record<string, unknown>[]> =>
      db('dispatch_attempts as a')
        .join('dispatches as d', (on) => on.on('d.run_id', 'a.run_id').andOn('d.n', 'a.dispatch_n'))
        .where('a.run_id', run.id)
        .whereNotNull('d.parent_n')
        .orderBy(['a.dispatch_n', 'a.attempt'])
        .select('a.*'),
    async received(): Promise<string[]> {
      const answer = await fetch(`${ground.sandbox.url}/api/messages?perPage=1000&run=${run.id}`);
      const { items }: { items: { to: string }[] } = JSON.parse(await answer.text());
      return items.map(({ to }) => to);
    },
  };
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
    cancel: () => workflow.getHandle(campaignWorkflowId(tenantId, campaignId)).cancel(),
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
