import type { Logger } from '../lib/logger';
import type { Knex } from '../lib/db';
import type { LlmGateway } from '../gateway/types';
import type { Sealing } from '../lib/sealing';
import type { HealthNews } from '../gateway/healthNews';
import type { LlmProviders } from '../providers/llm';
import type { WavePlanner } from '../models/campaigns/planning';
import type { Channel } from '../domain/campaigns/types';
import type { LlmRetention } from '../domain/llm/budgets';
import type { LookUpRules } from '../domain/messages/doubts/lookUps';
import type { AccountSenders } from './messages/accountSenders';
import type { RenderedMail } from './messages/renderMail';
import type { DispatchWork } from './messages/sendDispatch';

/** What activities work with; one of each a process. */
export interface ActivityDeps {
  db: Knex;
  logger: Logger;
  senders: AccountSenders;
  /** Vendors of language models, to ask how keys stand. */
  llmProviders: LlmProviders;
  /** Is told what probes wrote. */
  healthNews: HealthNews;
  /** Language models, whoever serves them. */
  llm: { readonly gateway: LlmGateway };
  /** How long calls of them, and what happened to their keys, are kept. */
  llmRetention: LlmRetention;
  sealing: Sealing;
  /** Signs what recipients click and open. */
  trackingTokens: { token(message: { runId: string; messageN: number }): string };
  /** Where recipients reach us, without a trailing slash. */
  publicUrl: string;
  /** How long a claim or a call holds its dispatch; far above the provider's time-out. */
  leaseMs: number;
  /** After how long a slice returns so that the workflow can look around. */
  sliceMs: number;
  /** Tells a run's workflow that its ledger changed; a workflow that is gone is no error. */
  signalRun(
    run: { tenantId: string; campaignId: string; runN: number },
    what?: 'ledgerChanged' | 'wavesAdded',
  ): Promise<void>;
  /** Tells a campaign's workflow to read how its run is steered. */
  signalSteering(run: { tenantId: string; campaignId: string }): Promise<void>;
  /** Starts a campaign's workflow for a run that has none. */
  startCampaign(run: StartableRun): Promise<void>;
  /** Whether a workflow lives for this very run. */
  isRunAlive(run: { id: string; tenantId: string; campaignId: string }): Promise<boolean>;
  /** Starts the keyrings of accounts at vendors of models that have none. */
  ensureKeyrings(
    accounts: readonly { accountId: string; tenantId: string | null; name: string; keys: number }[],
  ): Promise<void>;
  /** Only tests and benchmarks replace it. */
  planner?: WavePlanner;
  /** The same: writes the call of a dispatch in place of loading and rendering. */
  writeCall?: (work: DispatchWork) => Promise<RenderedMail | null>;
  /** When vendors are asked for calls in doubt; only tests replace it, because it takes hours. */
  lookUpRules?: LookUpRules;
}

export interface StartableRun {
  id: string;
  tenantId: string;
  campaignId: string;
  n: number;
  channel: Channel;
  name: string;
}
