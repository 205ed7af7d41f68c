import { Context } from '@temporalio/activity';
import { preferredModels } from '../../domain/llm/defaultModels';
import { acrossTenants } from '../../models/base';
import { sealedPlace } from '../../models/identity/sealedPlaces';
import { findModelSources, saveModels, type ModelSource } from '../../models/llm/models';
import {
  callsOfBatch,
  forgetCalls,
  forgetTransitions,
  settleLostCalls,
} from '../../models/llm/tending';
import type { CatalogueModel } from '../../providers/llm/types';
import type { ActivityDeps } from '../deps';

/** What was found to do, for people who read the history. */
export interface LlmTended {
  /** Calls whose process was gone. */
  lost: number;
  forgotten: number;
  isMoreLeft: boolean;
  /** Whether the lists of models are to be read. */
  areModelsDue: boolean;
}

const dayMs = 24 * 3_600_000;
// Well within the time that the activity has: the lists of the others are to be written.
const listTimeoutMs = 10_000;
// The same of its batches, the last of which may take a while.
const tendForMs = 8_000;

/** The standing work of language models. */
export function createLlmTending(
  deps: Pick<ActivityDeps, 'db' | 'sealing' | 'llmProviders' | 'logger' | 'llmRetention'>,
) {
  const { db, sealing, llmProviders, logger, llmRetention } = deps;
  const findDue = () =>
    acrossTenants(db, 'llmRing', (trx) => findModelSources(trx, { ifOlderThanMs: dayMs }));

  async function listOf(source: ModelSource): Promise<CatalogueModel[] | null> {
    const { vendor, baseUrl, keyId, secret } = source;
    try {
      const place = sealedPlace('llmKeys', { key: [keyId], tenantId: null });
      const apiKey = sealing.open(secret, place);
      return await llmProviders[vendor].models(
        { baseUrl, apiKey },
        { signal: Context.current().cancellationSignal, timeoutMs: listTimeoutMs },
      );
    } catch (error) {
      logger.warn({ err: error, keyId, baseUrl }, 'a list of models could not be read');
      return null;
    }
  }

  async function tendBatch(): Promise<Omit<LlmTended, 'areModelsDue'>> {
    const lost = await acrossTenants(db, 'llmLedger', settleLostCalls);
    const calls = await acrossTenants(db, 'llmLedger', (trx) => forgetCalls(trx, llmRetention));
    const transitions = await acrossTenants(db, 'llmRing', (trx) =>
      forgetTransitions(trx, llmRetention),
    );
    return {
      lost,
      forgotten: calls.rows + transitions.rows,
      isMoreLeft: lost === callsOfBatch || calls.isMoreLeft || transitions.isMoreLeft,
    };
  }

  return {
    /**
     * Goes on for some seconds while there is more: as much as is called comes to be forgotten. Safe to
     * repeat: what was settled or is gone is not found again.
     */
    async tendLlmCalls(): Promise<LlmTended> {
      const endsAt = Date.now() + tendForMs;
      const sum = { lost: 0, forgotten: 0, isMoreLeft: true };
      while (sum.isMoreLeft && Date.now() < endsAt) {
        const batch = await tendBatch();
        sum.lost += batch.lost;
        sum.forgotten += batch.forgotten;
        sum.isMoreLeft = batch.isMoreLeft;
      }
      return { ...sum, areModelsDue: (await findDue()).length > 0 };
    },

    /**
     * Reads the lists of models of all endpoints that the platform has keys for, when it is a day since
     * that was done. Safe to repeat: the same lists change nothing. A model is gone only when every
     * list was read, and none of them has it.
     */
    async syncLlmModels(): Promise<{ models: number; repriced: number; gone: number }> {
      const sources = await findDue();
      const lists = await Promise.all(sources.map(listOf));
      const read = lists.flatMap((list) => (list === null ? [] : [list]));
      const offered = read.flat();
      if (offered.length === 0) {
        return { models: 0, repriced: 0, gone: 0 };
      }
      const isComplete = read.length === lists.length;
      return acrossTenants(db, 'llmRing', (trx) =>
        saveModels(trx, offered, { preferred: preferredModels, isComplete }),
      );
    },
  };
}
