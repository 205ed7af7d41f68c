import { createRetryBudgets } from '../domain/llm/retryBudget';
import type { Knex } from '../lib/db';
import type { Logger } from '../lib/logger';
import type { Registry } from '../lib/metrics';
import type { Sealing } from '../lib/sealing';
import { createLlmProviders } from '../providers/llm';
import { createCallMetrics } from './callMetrics';
import { createCatalogue } from './catalogue';
import { createCostLookUps } from './costs';
import { createGateway } from './gateway';
import { createHealthNews } from './healthNews';
import { KeyLine } from './KeyLine';
import { createCallLedger, type SpentKeyOfPool } from './ledger';
import { collectRingMetrics } from './metrics';
import { OpenRuns } from './OpenRuns';
import { ownFailure } from './ownFailure';
import { ReplyCache } from './ReplyCache';
import { createRing, type RingListeners } from './ring';
import { createAnswerChecks } from './schemas';
import type { CallLedger, LlmGateway, Ring } from './types';

/** Language models, as one process uses them. */
export interface Llm {
  readonly gateway: LlmGateway;
  readonly ring: Ring;
  readonly ledger: CallLedger;
  /** Reads models and tenants' settings anew: it happens by itself within seconds. */
  refresh(): Promise<void>;
  /** Writes down what is known and closes all; calls that are under way fail. */
  close(): Promise<void>;
}

export interface LlmDeps {
  readonly db: Knex;
  readonly sealing: Sealing;
  readonly logger: Logger;
  readonly metrics: Registry | null;
  /** Whether accounts may lie on the public internet alone: all but development and tests. */
  readonly onlyPublic: boolean;
  readonly tell: RingListeners;
  /** The longest silence in the middle of an answer that streams; 20 seconds. */
  readonly idleMs?: number;
}

// Retries of a pool within ten seconds: a fifth of its requests, and ten in any case.
const retries = { share: 0.2, atLeast: 10 };

/** Puts the parts together: keys and their health, the money, the vendors, and what uses them all. */
export async function createLlm(deps: LlmDeps): Promise<Llm> {
  const { db, sealing, logger, metrics, onlyPublic, tell, idleMs = 20_000 } = deps;
  const ring = await createRing({
    db,
    sealing,
    logger,
    tell,
    news: createHealthNews({ logger, metrics }),
  });
  const catalogue = createCatalogue({ db, logger });
  await catalogue.ready;
  if (metrics !== null) {
    collectRingMetrics(metrics, ring);
  }
  const ledger = createCallLedger({ db, sealing, logger, spentKey: benchSpent(ring) });
  const providers = createLlmProviders({ onlyPublic });
  const costs = createCostLookUps(logger);
  const runs = new OpenRuns();
  const gateway = createGateway({
    ring,
    line: new KeyLine(ring),
    ledger,
    catalogue,
    costs,
    logger,
    idleMs,
    providerOf: (vendor) => providers[vendor],
    retryBudgets: createRetryBudgets(retries),
    runs,
    metrics: createCallMetrics(metrics),
    checks: createAnswerChecks(),
    cache: new ReplyCache(),
  });
  return {
    gateway,
    ring,
    ledger,
    refresh: () => catalogue.refresh(),
    async close() {
      // What is called off is recorded before that is closed by which it is.
      await runs.close();
      await costs.close();
      await ledger.close();
      await Promise.all(Object.values(providers).map((provider) => provider.close()));
      await catalogue.close();
      await ring.close();
    },
  };
}

// What a key may cost by our own budget ends as its vendor's budget does: at an instant.
function benchSpent(ring: Ring) {
  return ({ keyId, accountId, poolId, resetsAt }: SpentKeyOfPool) =>
    ring.seen({
      key: { keyId, accountId, poolId, isTrial: false },
      model: '',
      failure: { ...ownFailure('budgetSpent', 'the budget of this key is spent'), resetsAt },
      firstTokenMs: null,
      totalMs: 0,
    });
}
