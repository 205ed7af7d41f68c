import { fireCampaign, writeCampaign, type FiredCampaign } from '../../bench/chaos/campaign';
import type { ProcessGround } from '../../bench/chaos/ground';
import { calm } from '../../bench/chaos/storm';
import { tally, type Tally } from '../../bench/chaos/tally';
import { until } from '../support/conditions';
import { tokenFor } from '../support/tokens';

/** Short enough for tests, in the order that the product asks for: call, lease. */
export const timings = { providerTimeoutMs: 1_500, leaseMs: 4_000, sliceMs: 3_000 };

/** A campaign of a new tenant, for now: ten people and so one call a zone. A doubt is held. */
export async function fire(ground: ProcessGround, zones: number): Promise<FiredCampaign> {
  const customers = zones * 10;
  return fireCampaign(ground, {
    ...(await writeCampaign(ground, customers, { zoneCount: zones })),
    customers,
    doubtPolicy: 'hold',
    doubtDeadlineMs: 120_000,
  });
}

/** Where the ledger lies, and what the provider took. */
export type CountingGround = Pick<ProcessGround, 'db' | 'sandboxUrl' | 'journalFile'>;

/** Waits for the end of the run and counts against what the provider took. */
export async function settle(
  ground: CountingGround,
  campaign: FiredCampaign,
  timeoutMs = 60_000,
): Promise<Tally & { state: string }> {
  const state = await calm(ground, campaign, Date.now() + timeoutMs);
  return { state, ...(await tally(ground, campaign)) };
}

/** What `settle` must find when everybody got the campaign once. */
export function everybodyOnce(campaign: FiredCampaign) {
  return {
    state: 'completed',
    sent: campaign.customers,
    lost: 0,
    duplicated: 0,
    inDoubtOpen: 0,
    countersMatch: true,
    problems: [],
  };
}

/** How many dispatches of the run are in each state. */
export async function dispatchStates(
  ground: Pick<ProcessGround, 'db'>,
  { run }: FiredCampaign,
): Promise<Record<string, number>> {
  const rows: { state: string; dispatches: number }[] = await ground
    .db('dispatches')
    .where({ run_id: run.id })
    .groupBy('state')
    .select('state')
    .count({ dispatches: '*' });
  return Object.fromEntries(rows.map(({ state, dispatches }) => [state, dispatches]));
}

/** Resolves once at least so many calls of the run are accepted. */
export async function untilAccepted(
  ground: Pick<ProcessGround, 'db'>,
  campaign: FiredCampaign,
  dispatches: number,
): Promise<void> {
  await until(
    `${dispatches} accepted calls`,
    async () => {
      const { accepted = 0 } = await dispatchStates(ground, campaign);
      return accepted >= dispatches;
    },
    60_000,
  );
}

export type Asked = { status: number; workflow: string };

/** Asks the API for what people do to a campaign: schedule, pause, resume, settle a doubt. */
export async function ask(
  ground: Pick<ProcessGround, 'apiUrl' | 'accessTokens' | 'db'>,
  { tenantId, campaignId }: Pick<FiredCampaign, 'tenantId' | 'campaignId'>,
  what: 'schedule' | 'pause' | 'resume' | `doubts/${number}/settle`,
  body: Record<string, unknown> = {},
): Promise<Asked> {
  const token = await tokenFor(ground, tenantId);
  const answer = await fetch(`${ground.apiUrl}/api/v1/campaigns/${campaignId}/${what}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) {
    throw new Error(`${what} was answered ${answer.status}: ${text}`);
  }
  const { meta }: { meta: { workflow: string } } = JSON.parse(text);
  return { status: answer.status, workflow: meta.workflow };
}

/**
 * Asks for a pause and waits until it is written; answers the database's time after it. The API's own
 * answer follows when the workflow was told, or cannot be.
 */
export async function pauseAtOnce(
  ground: ProcessGround,
  campaign: FiredCampaign,
): Promise<{ pausedAt: Date; answer: Promise<Asked> }> {
  const answer = ask(ground, campaign, 'pause');
  // It is awaited by the caller; a failure must not end the process before.
  answer.catch(() => undefined);
  const pausedAt = await until('the pause to be written', async () => {
    const read = await ground.db.raw(
      'select gate, clock_timestamp() as now from campaign_runs where id = ?',
      [campaign.run.id],
    );
    const [row]: { gate: string; now: Date }[] = read.rows;
    return row?.gate === 'paused' && row.now;
  });
  return { pausedAt, answer };
}

// A statement at the gate that had begun when the gate was written.
const underWayMs = 100;

/** Calls of the run that passed the gate after this instant, by the database's clock. */
export async function callsPassedAfter(
  ground: ProcessGround,
  { run }: FiredCampaign,
  at: Date,
): Promise<number> {
  const [row] = await ground
    .db('dispatch_attempts')
    .where({ run_id: run.id })
    .where('called_at', '>', new Date(at.getTime() + underWayMs))
    .count({ calls: '*' });
  return Number(row?.calls ?? 0);
}

/** Waits until every call of the run has been made: accepted, or in doubt. */
export async function untilEverythingIsCalled(
  ground: ProcessGround,
  campaign: FiredCampaign,
): Promise<void> {
  await until(
    'every call to be made',
    async () => {
      const {
        accepted = 0,
        in_doubt: inDoubt = 0,
        ...others
      } = await dispatchStates(ground, campaign);
      return accepted + inDoubt > 0 && Object.keys(others).length === 0;
    },
    90_000,
  );
}

/** Waits until no worker holds a call of the run. */
export async function untilNothingIsHeld(
  ground: ProcessGround,
  campaign: FiredCampaign,
): Promise<void> {
  await until('no call to be held any more', async () => {
    const { claimed = 0, calling = 0 } = await dispatchStates(ground, campaign);
    return claimed + calling === 0;
  });
}
