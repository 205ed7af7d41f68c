import { openAccount } from '../../bench/chaos/accounts';
import { fireCampaign, writeCampaign, type FiredCampaign } from '../../bench/chaos/campaign';
import { startProcessGround, type ProcessGround } from '../../bench/chaos/ground';
import type { OurProcess } from '../../bench/chaos/ourProcess';
import { setSandboxFaults } from '../../bench/chaos/sandboxFigures';
import { runWorkflowId, waveWorkflowId } from '../../workflows/campaigns/messages';
import { dispatchStates, everybodyOnce, settle, timings, untilAccepted } from './support';

// Many small calls to one vendor, few long lanes of single calls to the other.
const mail = { route: 'sendgrid', customers: 1_500, zones: 250 } as const;
const texts = { route: 'twilio', customers: 20_000, zones: 20 } as const;

// Nobody is killed, and a call that outlasts its time would be a doubt.
const patient = { ...timings, providerTimeoutMs: 30_000, leaseMs: 60_000 };

let ground: ProcessGround;

beforeAll(async () => {
  ground = await startProcessGround({ ...patient, workers: 4, areWorkersIdle: true });
  await recordClaims();
});

afterAll(() => ground.stop());

test('workers come and go while campaigns are sent: nothing is lost, doubled or in doubt', async () => {
  const [first, second, third, fourth] = ground.workers;
  if (!first || !second || !third || !fourth) {
    throw new Error('Four workers are needed');
  }
  // Slow enough that every worker which stops has calls under way.
  await setSandboxFaults(ground.sandboxUrl, {
    seed: 'scale',
    latencyMs: 500,
    latencyJitterMs: 400,
    // So that no event proves meanwhile what a worker left behind.
    eventsHold: true,
  });
  await first.start();
  const campaigns = await Promise.all([fire(mail), fire(texts)]);
  const [byMail, byText] = campaigns;
  const untilSent = (share: number) => untilAccepted(ground, byMail, share * mail.zones);
  await untilSent(0.1);
  await Promise.all([second.start(), third.start()]);
  await untilSent(0.2);
  await drain(first);
  await untilSent(0.3);
  await Promise.all([first.start(), fourth.start()]);
  await untilSent(0.5);
  await Promise.all([drain(second), drain(third)]);
  await untilSent(0.6);
  await Promise.all([drain(first), drain(fourth)]);
  for (const campaign of campaigns) {
    // Nobody works now: what left is known, what did not waits for whoever comes.
    expect({ planned: 0, ...(await dispatchStates(ground, campaign)) }).toEqual({
      planned: expect.any(Number),
      accepted: expect.any(Number),
    });
  }
  // Lanes were stopped in the middle: what they left went to others.
  const left = await ground
    .db('dispatches')
    .where({ run_id: byText.run.id })
    .whereNotNull('parent_n')
    .limit(1);
  expect(left).toHaveLength(1);
  await setSandboxFaults(ground.sandboxUrl, {});
  await Promise.all([second.start(), fourth.start()]);
  for (const campaign of campaigns) {
    expect(await settle(ground, campaign)).toMatchObject(everybodyOnce(campaign));
    expect(await wrongSteps(campaign)).toEqual([]);
    expect(await callsWithoutStep(campaign)).toEqual([]);
    expect((await workersOf(campaign)).size).toBeGreaterThanOrEqual(4);
  }
});

async function fire({ route, customers, zones }: typeof mail | typeof texts) {
  const written = await writeCampaign(ground, customers, { route, zoneCount: zones });
  await openAccount(ground, written.tenantId, route);
  // Numbers of which the stand-in tells nothing afterwards: thousands of callbacks prove nothing here.
  await ground.db.raw(
    `update customers set phone = replace(phone, '+4932', '+15010') where tenant_id = ?`,
    [written.tenantId],
  );
  return fireCampaign(ground, {
    ...written,
    customers,
    doubtPolicy: 'hold',
    doubtDeadlineMs: 120_000,
  });
}

/** Asks a worker to stop; it must end by itself, and not because its time is over. */
async function drain(worker: OurProcess): Promise<void> {
  await worker.stop();
  expect([worker.name, worker.endedBy]).toEqual([worker.name, 0]);
}

/** Makes the database write down every step of every dispatch: what passes between two looks, too. */
async function recordClaims(): Promise<void> {
  await ground.db.raw(`
    create table dispatch_steps (
      id bigint generated always as identity primary key,
      run_id uuid, n int, from_state text, to_state text, from_claim int, to_claim int
    );
    create function record_dispatch_step() returns trigger language plpgsql security definer as $$
    begin
      if tg_op = 'INSERT' then
        insert into dispatch_steps (run_id, n, to_state, to_claim)
          values (new.run_id, new.n, new.state, new.claim_n);
      elsif new.state is distinct from old.state or new.claim_n is distinct from old.claim_n then
        insert into dispatch_steps (run_id, n, from_state, to_state, from_claim, to_claim)
          values (new.run_id, new.n, old.state, new.state, old.claim_n, new.claim_n);
      end if;
      return null;
    end $$;
    create trigger dispatch_steps after insert or update on dispatches
      for each row execute function record_dispatch_step();
  `);
}

/** Steps that must never be seen: a claim of what somebody holds, a call without a claim, a doubt. */
async function wrongSteps({ run }: FiredCampaign): Promise<unknown[]> {
  const found = await ground.db.raw(
    `select n, from_state, to_state, from_claim, to_claim from dispatch_steps
      where run_id = ?
        and (to_state in ('in_doubt', 'unconfirmed', 'expired')
             or (to_state = 'claimed'
                 and (from_state is distinct from 'planned' or to_claim <> from_claim + 1))
             or (to_state = 'calling' and from_state is distinct from 'claimed')
             or (to_state <> 'claimed' and from_claim <> to_claim))
      order by id`,
    [run.id],
  );
  return found.rows;
}

/** Calls that were made and of which no step was written down: proves that steps are. */
async function callsWithoutStep({ run }: FiredCampaign): Promise<unknown[]> {
  const found = await ground.db.raw(
    `select a.dispatch_n, a.attempt from dispatch_attempts a
      where a.run_id = ?
        and not exists (select from dispatch_steps s
                         where s.run_id = a.run_id and s.n = a.dispatch_n and s.to_state = 'calling')`,
    [run.id],
  );
  return found.rows;
}

/** The processes that worked on a campaign's wave, as Temporal names them. */
async function workersOf({ tenantId, campaignId }: FiredCampaign): Promise<Set<string>> {
  const wave = waveWorkflowId(runWorkflowId(tenantId, campaignId, 1), 1, 1);
  const { events = [] } = await ground.temporal.client.workflow.getHandle(wave).fetchHistory();
  return new Set(
    (events ?? []).flatMap(
      ({ activityTaskStartedEventAttributes: started }) => started?.identity ?? [],
    ),
  );
}
