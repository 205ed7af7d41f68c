import { Context } from '@temporalio/activity';
import { preferredModels } from '../../domain/llm/defaultModels';
import { acrossTenants } from '../../models/base';
import { sealedPlace } from '../../models/identity/sealedPlaces';
import { findModelSources, saveModels, type ModelSource } from '../../models/llm/models';
import { forgetCalls, forgetTransitions, settleLostCalls } from '../../models/llm/tending';
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
const listTimeoutMs = 30_000;

/** The standing work of language models. */
export function createLlmTending(
  deps: Pick<ActivityDeps, 'db' | 'sealing' | 'llmProviders' | 'logger'>,
) {
  const { db, sealing, llmProviders, logger } = deps;
  const findDue = () =>
    acrossTenants(db, 'llmRing', (trx) => findModelSources(trx, { ifOlderThanMs: dayMs }));

  async function listOf(source: ModelSource): Promise<CatalogueModel[] | null> {
    const { vendor, baseUrl, keyId, secret } = source;
    const apiKey = sealing.open(secret, sealedPlace('llmKeys', { key: [keyId], tenantId: null }));
    try {
      return await llmProviders[vendor].models(
        { baseUrl, apiKey },
        { signal: Context.current().cancellationSignal, timeoutMs: listTimeoutMs },
      );
    } catch (error) {
      logger.warn({ err: error, keyId, baseUrl }, 'a list of models could not be read');
      return null;
    }
  }

  return {
    /** Safe to repeat: what was settled or is gone is not found again. */
    async tendLlmCalls(): Promise<LlmTended> {
      const lost = await acrossTenants(db, 'llmLedger', settleLostCalls);
      const calls = await acrossTenants(db, 'llmLedger', forgetCalls);
      const transitions = await acrossTenants(db, 'llmRing', forgetTransitions);
      return {
        lost,
        forgotten: calls.rows + transitions.rows,
        isMoreLeft: calls.isMoreLeft || transitions.isMoreLeft,
        areModelsDue: (await findDue()).length > 0,
      };
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
