import { createRing } from '../../gateway/ring';
import type { ChosenKey, KeyAsk, NoKey, Ring } from '../../gateway/types';
import { failureKinds, type FailureKind, type LlmFailure } from '../../domain/llm/failures';
import type { Health } from '../../domain/llm/health';
import type { Knex } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { acrossTenants } from '../../models/base';
import { readHealth } from '../../models/llm/health';
import { testSealing } from './accounts';
import { insertLlmAccount, insertLlmKey } from './llm';
import type { TestDatabase } from './postgres';
import { insertTenant } from './records';

export interface Told {
  changed: string[];
  wanted: string[];
}

/** Rings of a test file: closed together, their log lines kept. */
export interface TestRings {
  readonly lines: string[];
  readonly opened: Ring[];
  open(options?: { db?: Knex; now?: () => number; pollMs?: number; told?: Told }): Promise<Ring>;
  close(): Promise<void>;
}

export function createTestRings(database: TestDatabase): TestRings {
  const lines: string[] = [];
  const opened: Ring[] = [];
  const logger = createLogger({ name: 'ring', destination: { write: (line) => lines.push(line) } });
  return {
    lines,
    opened,
    async open(options = {}) {
      const { db = database.app, told, ...rest } = options;
      const ring = await createRing({
        db,
        sealing: testSealing,
        logger,
        tell: {
          stateChanged: (ids) => told?.changed.push(...ids),
          wanted: (ids) => told?.wanted.push(...ids),
        },
        ...rest,
      });
      opened.push(ring);
      return ring;
    },
    async close() {
      await Promise.all(opened.splice(0).map((ring) => ring.close()));
    },
  };
}

export interface TestPool {
  poolId: string;
  accountIds: string[];
  /** Of each account. */
  keyIds: string[][];
}

/** A tenant's pool with so many accounts of so many keys each. */
export async function buildPool(
  admin: Knex,
  options: {
    accounts?: number;
    keys?: number;
    account?: Record<string, unknown>;
    key?: Record<string, unknown>;
  } = {},
): Promise<TestPool> {
  const { accounts = 1, keys = 1, account = {}, key = {} } = options;
  const tenantId = await insertTenant(admin);
  const pool: TestPool = { poolId: tenantId, accountIds: [], keyIds: [] };
  for (let a = 0; a < accounts; a++) {
    const accountId = await insertLlmAccount(admin, {
      tenantId,
      baseUrl: 'https://llm.test/api/v1/',
      columns: account,
    });
    const keyIds = [];
    for (let k = 0; k < keys; k++) {
      const secret = `sk-or-test-${accountId}-${k}`;
      keyIds.push(await insertLlmKey(admin, { accountId, tenantId, secret, columns: key }));
    }
    pool.accountIds.push(accountId);
    pool.keyIds.push(keyIds);
  }
  return pool;
}

const none: ReadonlySet<string> = new Set();

export function askFor(poolId: string, more: Partial<KeyAsk> = {}): KeyAsk {
  return {
    poolIds: [poolId],
    model: 'maker/large',
    conversation: null,
    priority: 'interactive',
    withoutKeys: none,
    withoutAccounts: none,
    ...more,
  };
}

export function isChosen(answer: ChosenKey | NoKey): answer is ChosenKey {
  return 'keyId' in answer;
}

export function chosen(answer: ChosenKey | NoKey): ChosenKey {
  if (!isChosen(answer)) {
    throw new Error(`no key: ${JSON.stringify(answer)}`);
  }
  return answer;
}

export function noKey(answer: ChosenKey | NoKey): NoKey {
  if (isChosen(answer)) {
    throw new Error(`a key: ${answer.keyId}`);
  }
  return answer;
}

export function failureOf(kind: FailureKind, more: Partial<LlmFailure> = {}): LlmFailure {
  return {
    kind,
    scope: failureKinds[kind],
    status: 429,
    message: `it is ${kind}`,
    vendorCode: null,
    retryAfterMs: null,
    resetsAt: null,
    isFreeClass: false,
    fallbackModels: [],
    hadBegun: false,
    ...more,
  };
}

/** A call with a chosen key that ends so; null is well. */
export function callWith(
  ring: Ring,
  asked: KeyAsk,
  end: LlmFailure | null,
): { keyId: string; isTrial: boolean } {
  const key = chosen(ring.choose(asked));
  ring.seen({ key, model: asked.model, failure: end, firstTokenMs: null, totalMs: 5 });
  key.release();
  return { keyId: key.keyId, isTrial: key.isTrial };
}

export function stateOf(ring: Ring, keyId: string | undefined) {
  return ring.snapshot().find((key) => key.keyId === keyId)?.state;
}

/** What is written of a pool's health. */
export function storedHealth(app: Knex, poolId: string): Promise<Health[]> {
  return acrossTenants(app, 'llmRing', (trx) => readHealth(trx, poolId));
}
