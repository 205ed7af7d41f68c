import { Context } from '@temporalio/activity';
import { setTimeout as sleep } from 'node:timers/promises';
import { LlmAttemptError } from '../../domain/llm/failures';
import { freeClass, type HealthEvent } from '../../domain/llm/health';
import {
  askedAbout,
  isOfModelAtHand,
  isSpent,
  learnedFromBalance,
  learnedFromFailure,
  learnedFromPage,
  learnedWithoutModel,
  remainderReasons,
  wellSince,
  type ProbeQuestion,
} from '../../domain/llm/keyrings/learned';
import { platformPool, type ChatCall, type HealthScope } from '../../domain/llm/types';
import type { Knex } from '../../lib/db';
import { acrossTenants } from '../../models/base';
import { applyHealth, countRounds, readHealth } from '../../models/llm/health';
import {
  openKey,
  openManagementKey,
  writeBalance,
  writeKeyLimits,
  type ProbedKey,
} from '../../models/llm/probing';
import { probeModels } from '../../models/llm/probeModels';
import type { CallOptions } from '../../providers/llm/types';
import type { ActivityDeps } from '../deps';
import type { KeyringOwner } from './keyrings';

/** What is asked about, and with which key. */
export type ProbeOrder = KeyringOwner & ProbeQuestion;

type About = ReturnType<typeof askedAbout> & { rounds?: number };

/** What came of it, for people who read the history: how things stand is in the records. */
export interface Probed {
  outcome: 'well' | 'spent' | 'failed' | 'notAsked';
  /** A failure's kind, or why nobody was asked. */
  why: string | null;
  status: number | null;
}

const pageTimeoutMs = 10_000;
const callTimeoutMs = 12_000;
const pageAfterCallsMs = 5_000;
const burst = { calls: 10, everyMs: 1_000, timeoutMs: 3_000 } as const;

/**
 * What keyrings ask vendors. Each may run twice: asking changes nothing there, and what is learned
 * twice is written once. What opens a key is read, used and forgotten in here.
 */
export function createProbes(
  deps: Pick<ActivityDeps, 'db' | 'sealing' | 'llmProviders' | 'healthNews' | 'logger'>,
) {
  const { db, sealing, llmProviders, healthNews, logger } = deps;

  return {
    /** Asks the vendor's own page of the key, which is free: whether it is taken, and what is left. */
    async verifyKey(order: ProbeOrder): Promise<Probed> {
      const { key, about } = await acrossTenants(db, 'llmRing', async (trx) => ({
        key: await openKey(trx, sealing, order),
        about: await askedOf(trx, order),
      }));
      const skipped = whyNotAsked(key);
      if (key === null || skipped !== null) {
        return notAsked(skipped ?? 'gone');
      }
      const sentAt = Date.now();
      try {
        const status = await llmProviders[key.credentials.vendor].keyStatus(
          key.credentials,
          within(pageTimeoutMs),
        );
        await acrossTenants(db, 'llmRing', (trx) =>
          writeKeyLimits(trx, { keyId: order.keyId, at: new Date(sentAt), ...status }),
        );
        await learn(order, learnedFromPage({ ...order, ...about }, status, sentAt));
        return { outcome: isSpent(status) ? 'spent' : 'well', why: null, status: 200 };
      } catch (error) {
        return failed({ ...order, ...about }, '', error);
      }
    },

    /** Asks what is left of the account's credit, with its management key. */
    async pollAccount(owner: KeyringOwner & { scope: HealthScope | null }): Promise<Probed> {
      const { opened, about } = await acrossTenants(db, 'llmRing', async (trx) => ({
        opened: await openManagementKey(trx, sealing, owner),
        about: await askedOf(trx, owner),
      }));
      if (opened === null) {
        return notAsked('noManagementKey');
      }
      const { credentials, floorMicros } = opened;
      const sentAt = Date.now();
      try {
        const { remainingMicros } = await llmProviders[credentials.vendor].credits(
          credentials,
          within(pageTimeoutMs),
        );
        const leftMicros = remainingMicros - floorMicros;
        const balance = { balanceMicros: remainingMicros, at: new Date(sentAt) };
        await acrossTenants(db, 'llmRing', (trx) =>
          writeBalance(trx, { accountId: owner.accountId, ...balance }),
        );
        await learn(owner, learnedFromBalance({ ...owner, ...about }, { leftMicros, sentAt }));
        return { outcome: leftMicros <= 0 ? 'spent' : 'well', why: null, status: 200 };
      } catch (error) {
        if (!(error instanceof LlmAttemptError)) {
          throw error;
        }
        // The management key opens no model: what it is refused for says nothing of the account.
        const { kind, status } = error.failure;
        logger.warn({ accountId: owner.accountId, kind, status }, 'credit of an account not read');
        return { outcome: 'failed', why: kind, status };
      }
    },

    /** Makes the smallest call there is: one token of a model that the key may use. */
    async probeCapacity(order: ProbeOrder): Promise<Probed> {
      return probe(order, callTimeoutMs);
    },

    /** The same, every second for ten seconds, until one succeeds. */
    async probeOften(order: ProbeOrder): Promise<Probed> {
      const { cancellationSignal } = Context.current();
      const startedAt = Date.now();
      let last = notAsked('cancelled');
      for (let call = 1; call <= burst.calls; call += 1) {
        last = await probe(order, burst.timeoutMs);
        Context.current().heartbeat({ call, ...last });
        if (last.outcome !== 'failed') {
          break;
        }
        const nextAt = startedAt + call * burst.everyMs;
        await sleep(Math.max(0, nextAt - Date.now()), undefined, { signal: cancellationSignal });
      }
      return last;
    },
  };

  async function probe(order: ProbeOrder, timeoutMs: number): Promise<Probed> {
    const { key, about } = await acrossTenants(db, 'llmRing', async (trx) => ({
      key: await openKey(trx, sealing, order),
      about: await askedOf(trx, order),
    }));
    const skipped = whyNotAsked(key);
    if (key === null || skipped !== null) {
      return notAsked(skipped ?? 'gone');
    }
    const asked = { ...order, ...about };
    const endsAt = Date.now() + timeoutMs;
    let last = notAsked('noModel');
    for (const model of await modelsFor(order, key)) {
      const leftMs = endsAt - Date.now();
      if (leftMs <= 0) {
        return last;
      }
      const answer = await call(asked, key, { model, timeoutMs: leftMs });
      if (!answer.isOfModel) {
        return answer.probed;
      }
      last = answer.probed;
    }
    return order.isUrgent === true ? last : withoutModel(asked, key, last);
  }

  async function modelsFor(order: ProbeOrder, key: ProbedKey): Promise<string[]> {
    const isFree = order.model === freeClass;
    if (order.model !== null && !isFree) {
      return [order.model];
    }
    const { credentials: endpoint, allowedModels } = key;
    return probeModels(db, { ...order, endpoint, allowedModels, isFree });
  }

  async function call(
    order: ProbeOrder & About,
    key: ProbedKey,
    { model, timeoutMs }: { model: string; timeoutMs: number },
  ): Promise<{ probed: Probed; isOfModel: boolean }> {
    const sentAt = Date.now();
    try {
      await llmProviders[key.credentials.vendor].chat({ ...smallestCall, model }, key.credentials, {
        ...within(timeoutMs),
        firstTokenMs: timeoutMs,
        idleMs: timeoutMs,
      });
      await learn(order, [wellSince(order, sentAt)]);
      return { probed: { outcome: 'well', why: null, status: 200 }, isOfModel: false };
    } catch (error) {
      const isOfModel = error instanceof LlmAttemptError && isOfModelAtHand(error.failure, order);
      return { probed: await failed(order, model, error), isOfModel };
    }
  }

  // No model is known to ask for: the page of the key is all there is.
  async function withoutModel(
    order: ProbeOrder & About,
    key: ProbedKey,
    last: Probed,
  ): Promise<Probed> {
    const sentAt = Date.now();
    try {
      const page = await llmProviders[key.credentials.vendor].keyStatus(
        key.credentials,
        within(pageAfterCallsMs),
      );
      const events = learnedWithoutModel(order, page, sentAt);
      await learn(order, events);
      return events.length === 0 ? last : { ...last, outcome: isSpent(page) ? 'spent' : 'well' };
    } catch (error) {
      return failed(order, '', error);
    }
  }

  /** Writes what a failure says of whoever it is about, which need not be what was asked about. */
  async function failed(order: ProbeOrder & About, model: string, error: unknown): Promise<Probed> {
    if (!(error instanceof LlmAttemptError)) {
      throw error;
    }
    const { failure } = error;
    await learn(order, learnedFromFailure(order, { model, failure, at: Date.now() }));
    return { outcome: 'failed', why: failure.kind, status: failure.status };
  }

  // How it stands as it is asked about: an answer that comes later says nothing of what came since.
  async function askedOf(
    trx: Knex.Transaction,
    question: KeyringOwner & { scope: HealthScope | null; keyId?: string; model?: string | null },
  ): Promise<About> {
    const known = await readHealth(trx, question.tenantId ?? platformPool);
    const asked = askedAbout(question, known);
    return asked.about != null && remainderReasons.has(asked.about.reason)
      ? { ...asked, rounds: await countRounds(trx, asked.about) }
      : asked;
  }

  async function learn({ tenantId }: KeyringOwner, events: readonly HealthEvent[]): Promise<void> {
    if (events.length > 0) {
      const poolId = tenantId ?? platformPool;
      const all = events.map((event) => ({ ...event, poolId }));
      healthNews(await acrossTenants(db, 'llmRing', (trx) => applyHealth(trx, all)));
    }
  }

  function within(timeoutMs: number): Pick<CallOptions, 'signal' | 'timeoutMs'> {
    return { signal: Context.current().cancellationSignal, timeoutMs };
  }
}

const smallestCall = {
  messages: [{ role: 'user', content: 'Say ok.' }],
  maxTokens: 1,
  temperature: null,
  tools: [],
  schema: null,
  sessionId: null,
  endUser: null,
  cachesPrompt: false,
} as const satisfies Omit<ChatCall, 'model'>;

function whyNotAsked(key: ProbedKey | null): string | null {
  if (key === null) {
    return 'gone';
  }
  const standings = [key.standing, key.accountStanding];
  return (
    standings.find((one) => one === 'revoked') ?? standings.find((one) => one === 'paused') ?? null
  );
}

function notAsked(why: string): Probed {
  return { outcome: 'notAsked', why, status: null };
}
