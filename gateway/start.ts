import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../domain/errors';
import { createLlm, type Llm, type LlmDeps } from './index';
import type { LlmGateway } from './types';

/** Language models of a process that does not wait for them to start. */
export interface StartedLlm {
  readonly gateway: LlmGateway;
  close(): Promise<void>;
}

const againMs = 1_000;
const patienceMs = 3_000;

/**
 * Loads keys and models, at once or when they are first asked for, and goes on trying while the
 * database is away: a process lives without it. Whoever asks before waits a moment, and is told to
 * come back.
 */
export function startLlm(
  deps: LlmDeps,
  options: { when: 'now' | 'asked'; create?: (deps: LlmDeps) => Promise<Llm> },
): StartedLlm {
  const { when, create = createLlm } = options;
  const stopping = new AbortController();
  let loaded: LlmGateway | null = null;
  let loading: Promise<Llm | null> | null = null;

  async function begin(): Promise<Llm | null> {
    const llm = await load(create, deps, stopping.signal);
    loaded = llm?.gateway ?? null;
    return llm;
  }

  async function ready(): Promise<LlmGateway> {
    if (loaded !== null) {
      return loaded;
    }
    const patience = new AbortController();
    const late = sleep(patienceMs, null, { signal: patience.signal }).catch(() => null);
    loading ??= begin();
    const llm = await Promise.race([loading, late]);
    patience.abort();
    if (llm === null) {
      throw new AppError('unavailable', 'llmUnavailable', 'Keys are not loaded yet.', {
        retryAfterSeconds: 2,
      });
    }
    return llm.gateway;
  }

  if (when === 'now') {
    loading = begin();
  }
  return {
    gateway: {
      chat: async (ask, options) => (loaded ?? (await ready())).chat(ask, options),
      async *stream(ask, options) {
        yield* (loaded ?? (await ready())).stream(ask, options);
      },
      embed: async (ask, options) => (loaded ?? (await ready())).embed(ask, options),
      image: async (ask, options) => (loaded ?? (await ready())).image(ask, options),
    },
    async close() {
      stopping.abort();
      await (await loading)?.close();
    },
  };
}

/** Null when it was stopped before it could be loaded. */
async function load(
  create: (deps: LlmDeps) => Promise<Llm>,
  deps: LlmDeps,
  signal: AbortSignal,
): Promise<Llm | null> {
  let isTold = false;
  while (!signal.aborted) {
    try {
      return await create(deps);
    } catch (error) {
      if (!isTold) {
        deps.logger.warn({ err: error }, 'keys of language models cannot be loaded yet');
        isTold = true;
      }
      await sleep(againMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return null;
}
