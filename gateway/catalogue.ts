import type { ModelPrices } from '../domain/llm/types';
import type { Knex } from '../lib/db';
import { listenTo } from '../lib/listen';
import type { Logger } from '../lib/logger';
import { loadCatalogue, type KnownModel, type TenantLlmSettings } from '../models/llm/models';

export type { KnownModel } from '../models/llm/models';

/** What a tenant wants of its calls; without a word of its own, what holds then. */
export type CallSettings = Omit<TenantLlmSettings, 'tenantId'>;

/** Models, prices and settings, in the memory of this process: nothing here asks the database. */
export interface Catalogue {
  /** The model, if it is offered: known, enabled, and not gone from its vendor's list. */
  find(model: string): KnownModel | null;
  /** What is asked in its place, in order; only what is offered. */
  fallbacksOf(model: string): readonly string[];
  /** The tenant's, else the platform's; null when nothing of it is offered. */
  defaultModel(tenantId: string | null): string | null;
  /** The prices that hold now, also of what is not offered any more; null for an unknown model. */
  priceOf(model: string): ModelPrices | null;
  settingsOf(tenantId: string): CallSettings;
  /** Whether it was read: before, nothing is known of any model. */
  isLoaded(): boolean;
  /** Resolves when it was read, or could not be: then it is tried again until it is. */
  readonly ready: Promise<void>;
  /** Reads it anew. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

// A lost notification costs this long.
const refreshMs = 60_000;
// Settings of many tenants may change at once.
const shortestMs = 1_000;
// While nothing was read yet.
const againMs = 500;

const noSettings: CallSettings = {
  keySource: 'ownFirst',
  defaultModel: null,
  keepsPrompts: false,
  hedgeAfterMs: null,
};

/** Reads the catalogue when it is told of a change, and once a minute. What was read holds meanwhile. */
export function createCatalogue({
  db,
  logger,
}: {
  db: Knex;
  logger: Pick<Logger, 'warn'>;
}): Catalogue {
  let models = new Map<string, KnownModel>();
  let settings = new Map<string, TenantLlmSettings>();
  let platformDefault: string | null = null;
  let isLoaded = false;
  const closing = new AbortController();
  const told = listenTo(db, 'llm_catalogue');

  async function refresh(): Promise<void> {
    const loaded = await loadCatalogue(db);
    models = new Map(loaded.models.map((model) => [model.id, model]));
    settings = new Map(loaded.settings.map((one) => [one.tenantId, one]));
    platformDefault = loaded.models.find(({ isDefault }) => isDefault)?.id ?? null;
    isLoaded = true;
  }

  async function tryRefresh(): Promise<void> {
    try {
      await refresh();
    } catch (error) {
      logger.warn({ err: error }, 'the catalogue of models is not read anew');
    }
  }

  async function follow(): Promise<void> {
    while (!closing.signal.aborted) {
      const readAt = Date.now();
      await told.next(isLoaded ? refreshMs : againMs, closing.signal);
      await pause(readAt + (isLoaded ? shortestMs : againMs) - Date.now());
      if (!closing.signal.aborted) {
        await tryRefresh();
      }
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(end, Math.max(0, ms));
      closing.signal.addEventListener('abort', end, { once: true });
      function end(): void {
        clearTimeout(timer);
        closing.signal.removeEventListener('abort', end);
        resolve();
      }
    });
  }

  function find(id: string): KnownModel | null {
    const model = models.get(id);
    return model !== undefined && model.isEnabled && !model.isGone ? model : null;
  }

  const ready = tryRefresh();
  const following = ready.then(follow);

  return {
    find,
    fallbacksOf: (model) =>
      (models.get(model)?.fallbacks ?? []).filter((id) => id !== model && find(id) !== null),
    defaultModel(tenantId) {
      const wanted = tenantId === null ? null : (settings.get(tenantId)?.defaultModel ?? null);
      const offered = [wanted, platformDefault].find((id) => id !== null && find(id) !== null);
      return offered ?? null;
    },
    priceOf: (model) => models.get(model) ?? null,
    settingsOf: (tenantId) => settings.get(tenantId) ?? noSettings,
    isLoaded: () => isLoaded,
    ready,
    refresh,
    async close() {
      closing.abort();
      await following;
      await told.close();
    },
  };
}
