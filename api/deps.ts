import type { CampaignWorkflows } from '../clients/campaigns';
import type { ConnectionTests } from '../clients/connectionTests';
import type { Keyrings } from '../clients/keyrings';
import type { ContentGenerations } from '../clients/contentGenerations';
import type { TestSends } from '../clients/testSends';
import type { LlmGateway } from '../gateway/types';
import type { AccessTokens } from '../lib/accessTokens';
import type { Config } from '../lib/config';
import type { Knex } from '../lib/db';
import type { KeyedHash } from '../lib/keyedHash';
import type { Logger } from '../lib/logger';
import type { Registry } from '../lib/metrics';
import type { Sealing } from '../lib/sealing';
import type { Temporal } from '../lib/temporal';
import type { QuotaLeases } from '../models/identity/quotaLeases';
import type { TrackingTokens } from '../lib/trackingTokens';

/** What the API works with; one object made by server.ts, or by a test. */
export interface ApiDeps {
  readonly config: Config;
  readonly db: Knex;
  readonly logger: Logger;
  readonly metrics: Registry;
  /** Connects on first use, so that the API lives without it. */
  readonly temporal: Pick<Temporal, 'client' | 'check'>;
  readonly accessTokens: AccessTokens;
  /** Counts what each single request uses of a plan. */
  readonly quotas: QuotaLeases;
  /** Starts and steers the workflows of campaigns. */
  readonly campaigns: CampaignWorkflows;
  /** Starts and steers the workflows of keys at vendors of models. */
  readonly keyrings: Keyrings;
  /** Sends tests of campaigns by their workflows. */
  readonly testSends: TestSends;
  /** Has content written by its workflows. */
  readonly contentGenerations: ContentGenerations;
  /** Seals and opens the credentials of provider accounts. */
  readonly sealing: Sealing;
  /** Asks vendors whether credentials may send. */
  readonly connectionTests: ConnectionTests;
  /** Language models, whoever serves them. */
  readonly llm: { readonly gateway: LlmGateway };
  /** Knows an address again that is not kept. */
  readonly addressHash: KeyedHash;
  /** Makes the refresh token that a repeated request gets again. */
  readonly refreshHash: KeyedHash;
  /** The same secrets the workers sign with. */
  readonly trackingTokens: Pick<TrackingTokens, 'verify'>;
}
