import type { DoubtPolicy, Schedule } from '../../domain/campaigns/types';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { planRun, type SealedPlan } from '../../models/campaigns/planning';
import { createRun, type CampaignRun } from '../../models/campaigns/runs';
import {
  claimDispatch,
  type Claim,
  type ClaimedDispatch,
  type WaveKey,
} from '../../models/messages/claims';
import { passGate, type GateAnswer } from '../../models/messages/gate';
import { loadRecipients } from '../../models/messages/recipients';
import { ensureTestAccount } from './accounts';
import { everyone, insertCampaign, insertCustomers, insertTenant } from './records';

interface LoadedRecipients {
  ns: number[];
  addresses: number;
}

/** A planned run and the steps of a lane on it, one at a time, so that a test can order them. */
export interface TestLedger {
  tenantId: string;
  campaignId: string;
  run: CampaignRun;
  plan: SealedPlan;
  customerIds: string[];
  wave(n?: number): WaveKey;
  claim(options?: { wave?: WaveKey; attempt?: number; leaseMs?: number }): Promise<Claim>;
  /** Claims and fails the test when there is nothing to claim. */
  claimed(options?: { leaseMs?: number }): Promise<ClaimedDispatch>;
  load(dispatch: ClaimedDispatch): Promise<LoadedRecipients>;
  /** Loads first unless `loaded` is given. */
  gate(
    dispatch: ClaimedDispatch,
    options?: { leaseMs?: number; leaveBefore?: Date; loaded?: LoadedRecipients },
  ): Promise<GateAnswer>;
  /** The state and reason of a dispatch. */
  dispatch(n: number): Promise<Record<string, unknown>>;
}

export async function buildLedger(
  db: Knex,
  options: {
    customers?: number;
    zones?: (string | null)[];
    /** Another run for the customers of this one. */
    sameAs?: Pick<TestLedger, 'tenantId' | 'customerIds'>;
    schedule?: Schedule;
    now?: Date;
    doubtPolicy?: DoubtPolicy;
    doubtDeadlineMs?: number;
  } = {},
): Promise<TestLedger> {
  await ensureTestAccount(db);
  const tenantId = options.sameAs?.tenantId ?? (await insertTenant(db));
  const zones = options.zones ?? ['Europe/Paris'];
  const customerIds =
    options.sameAs?.customerIds ??
    (await insertCustomers(
      db,
      tenantId,
      Array.from({ length: options.customers ?? 3 }, (_, i) => ({
        email: `c${i}@example.com`,
        timeZone: zones[i % zones.length] ?? null,
      })),
    ));
  const campaignId = await insertCampaign(db, tenantId);
  const run = await withTenant(db, tenantId, (trx) =>
    createRun(trx, {
      id: newId(),
      tenantId,
      campaignId,
      channel: 'email',
      contentVersion: 1,
      audience: everyone,
      schedule: options.schedule ?? { kind: 'now' },
      doubtPolicy: options.doubtPolicy ?? 'hold',
      doubtDeadlineMs: options.doubtDeadlineMs ?? 86_400_000,
      actor: { kind: 'user', id: null },
    }),
  );
  const plan = await withTenant(
    db,
    tenantId,
    (trx) => planRun(trx, { tenantId, runId: run.id, now: options.now ?? new Date() }),
    { isolationLevel: 'repeatable read' },
  );
  const wave = (n = 1): WaveKey => ({
    tenantId,
    runId: run.id,
    planVersion: plan.planVersion,
    waveN: n,
  });
  const claim: TestLedger['claim'] = (given = {}) =>
    claimDispatch(
      db,
      given.wave ?? wave(),
      { workflowRunId: newId(), activityId: '1', attempt: given.attempt ?? 1 },
      given.leaseMs ?? 60_000,
    );
  const loaded = async (dispatch: ClaimedDispatch): Promise<LoadedRecipients> => {
    const found: LoadedRecipients = { ns: [], addresses: 0 };
    await loadRecipients(
      db,
      { tenantId, runId: run.id, channel: 'email', dispatch },
      ({ n, addressHash }) => {
        found.ns.push(n);
        found.addresses += addressHash ?? 0;
      },
    );
    return found;
  };
  return {
    tenantId,
    campaignId,
    run,
    plan,
    customerIds,
    wave,
    claim,
    async claimed(given = {}) {
      const found = await claim(given);
      if (found.kind !== 'claimed') {
        throw new Error(`nothing to claim: ${found.kind}`);
      }
      return found.dispatch;
    },
    load: (dispatch) => loaded(dispatch),
    async gate(dispatch, options = {}) {
      return passGate(db, {
        tenantId,
        runId: run.id,
        channel: 'email',
        dispatch,
        leaseMs: options.leaseMs ?? 60_000,
        leaveBefore: options.leaveBefore ?? null,
        loaded: options.loaded ?? (await loaded(dispatch)),
        notRendered: [],
      });
    },
    async dispatch(n) {
      const [row] = await db('dispatches').where({ run_id: run.id, n });
      return row;
    },
  };
}
