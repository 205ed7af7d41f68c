import type { FailureKind, LlmFailure } from './failures';

/** How a request goes on after an attempt that failed. */
export type Way =
  /** The same model, with a key that it has not asked. */
  | 'otherKey'
  /** The same, but before other models are asked, and once a model. */
  | 'otherKeyOnce'
  /** The same model, with a key of an account that it has not asked. */
  | 'otherAccount'
  /** The next of the models that may take its place. */
  | 'otherModel'
  /** The same, but one that costs something: limits of free ones hold for these alone. */
  | 'paidModel'
  /** A model that reads more, with the same key. */
  | 'largerModel'
  /** The same key after 200 to 600 ms. */
  | 'sameKeySoon'
  /** The same model with the same key, for the one retry for which there is no other key. */
  | 'sameKeyOnce'
  /** The same key at once, over a connection of its own. */
  | 'sameKeyNow'
  /** The same key when the vendor's wait is over, if that is soon. */
  | 'sameKeyLater'
  /** The same account when it is no longer left alone, by another key of it if there is one. */
  | 'accountLater'
  /** Any key after a while that differs from request to request. */
  | 'anyKeyLater'
  /** The same key without the oldest messages. */
  | 'trimmed'
  /** The same key with fewer tokens to answer in. */
  | 'fewerTokens'
  /** The same key if it may, told what was wrong with the answer. */
  | 'repaired';

interface Reaction {
  /** What the request does, the best first: the first way for which there is a key is taken. */
  readonly ways: readonly Way[];
  /** Refused before any work was done, by what proves the key or account unusable for everybody. */
  readonly isAtDoor?: true;
  /** Counts for the request, and not for the process: who comes behind is not called for it again. */
  readonly isPassing?: true;
  /** After so many failures of this kind the request fails, whatever else it may still do. */
  readonly atMost?: number;
}

/** What a request does by the kind of its failure; no way means that it fails with it. */
export const reactions: Readonly<Record<FailureKind, Reaction>> = {
  invalidRequest: { ways: [] },
  contextLength: { ways: ['largerModel', 'trimmed'] },
  refused: { ways: [] },
  moderation: { ways: [] },
  schemaMismatch: { ways: ['repaired'] },
  authentication: { ways: ['otherKey'], isAtDoor: true },
  keyLimit: { ways: ['otherKey'], isAtDoor: true },
  budgetSpent: { ways: ['otherKey'], isAtDoor: true },
  credits: { ways: ['otherAccount'], isAtDoor: true },
  inFlightBudget: { ways: ['otherAccount', 'sameKeyLater', 'accountLater'], isAtDoor: true },
  exceedsBalance: { ways: ['otherAccount', 'fewerTokens'] },
  tokenLimit: { ways: ['fewerTokens', 'otherAccount'] },
  platformRateLimit: { ways: ['otherAccount', 'paidModel', 'accountLater'], isPassing: true },
  notPermitted: { ways: ['otherModel', 'otherAccount'] },
  modelUnavailable: { ways: ['otherModel'] },
  upstreamRateLimit: { ways: ['sameKeyLater', 'otherModel'] },
  timeout: { ways: ['otherKeyOnce', 'otherModel', 'sameKeyOnce'] },
  serverError: { ways: ['sameKeySoon', 'otherModel', 'otherAccount'] },
  firstTokenTimeout: { ways: ['otherKeyOnce', 'otherModel', 'otherKey', 'sameKeyOnce'] },
  emptyAnswer: { ways: ['otherKeyOnce', 'otherModel', 'sameKeyOnce'] },
  brokenAnswer: { ways: ['otherKeyOnce', 'otherModel', 'otherKey', 'sameKeyOnce'] },
  edgeRateLimit: { ways: ['anyKeyLater'] },
  unreachable: { ways: ['otherAccount', 'otherKey', 'sameKeyNow'], atMost: 2 },
  cancelled: { ways: [] },
};

/** Attempts of one request that count. */
export const maxCountedAttempts = 4;

/** Calls of one request with one key. */
export const maxCallsOfKey = 2;

/** Longest wait for a model's provider, and for room in an account's balance. */
const maxModelWaitMs = 2_000;
const maxAccountWaitMs = 3_000;

/** An attempt that failed, and how the request had come to it. */
export interface FailedAttempt {
  readonly keyId: string;
  readonly accountId: string;
  readonly poolId: string;
  readonly model: string;
  readonly way: Way | 'first' | 'hedge';
  readonly failure: LlmFailure;
}

/** What a request knows when an attempt of it failed. */
export interface Prospects {
  /** All that failed so far; the last one just did. */
  readonly failed: readonly FailedAttempt[];
  /** In order: what may be asked in the model's place, is well and was not asked. */
  readonly otherModels: readonly string[];
  /** The first of them that reads more than this one. */
  readonly largerModel: string | null;
  /** Until when the model is not asked by anybody; null while it is. */
  readonly modelDownUntil: number | null;
  readonly canTrim: boolean;
  readonly canLowerTokens: boolean;
  /** Whether somebody saw a part of the answer who cannot take it back. */
  readonly isShown: boolean;
  readonly deadlineAt: number;
}

/** One thing to try next: whom to ask, without whom, and how long to wait before. */
export interface Step {
  readonly way: Way;
  readonly model: string;
  readonly onlyKey: string | null;
  readonly withoutKeys: ReadonlySet<string>;
  readonly withoutAccounts: ReadonlySet<string>;
  readonly waitMs: number;
}

/** Whether the attempt counts among those a request has. */
export function counts(kind: FailureKind): boolean {
  return reactions[kind].isAtDoor !== true;
}

/** Whether going on draws on what the process may try again. */
export function draws(kind: FailureKind): boolean {
  return counts(kind) && reactions[kind].isPassing !== true;
}

/**
 * What the request may do next, the best first; nothing where it fails. Keys it has asked are left
 * out, but for what is repaired or only needs time, and no key is asked more than twice.
 */
export function nextSteps(prospects: Prospects, at: { now: number; random: number }): Step[] {
  const last = prospects.failed.at(-1);
  if (last === undefined || prospects.isShown) {
    return [];
  }
  const { ways, atMost } = reactions[last.failure.kind];
  const sameKind = prospects.failed.filter(({ failure }) => failure.kind === last.failure.kind);
  const counted = prospects.failed.filter(({ failure }) => counts(failure.kind));
  if (counted.length >= maxCountedAttempts || sameKind.length > (atMost ?? Infinity)) {
    return [];
  }
  return ways
    .flatMap((way) => stepsOf(way, last, prospects, at))
    .filter(({ waitMs }) => at.now + waitMs < prospects.deadlineAt);
}

function stepsOf(
  way: Way,
  last: FailedAttempt,
  prospects: Prospects,
  { now, random }: { now: number; random: number },
): Step[] {
  const { failed, otherModels, largerModel } = prospects;
  const wasTaken = failed.some((attempt) => attempt.way === way && attempt.model === last.model);
  const other = otherKeySteps(way, last, failed);
  const same = sameKeyStep(way, last, failed);
  switch (way) {
    case 'otherKey':
      return other(last.model);
    case 'otherKeyOnce':
      return wasTaken || last.way === 'sameKeyOnce' ? [] : other(last.model);
    case 'otherAccount':
      return other(last.model).filter(({ withoutAccounts }) => withoutAccounts.has(last.accountId));
    case 'otherModel':
      return otherModels.slice(0, 1).flatMap((model) => [...other(model), ...again(way, model)]);
    case 'paidModel':
      return !last.failure.isFreeClass
        ? []
        : otherModels
            .filter((model) => !isFree(model))
            .slice(0, 1)
            .flatMap((model) => [...other(model), ...again(way, model)]);
    case 'largerModel':
      return largerModel === null || wasTaken ? [] : same({ model: largerModel });
    case 'trimmed':
      return prospects.canTrim && !wasTaken ? same({}) : [];
    case 'fewerTokens':
      return prospects.canLowerTokens && !wasTaken ? same({}) : [];
    case 'repaired':
      return wasTaken ? [] : [...same({}), ...other(last.model)];
    case 'sameKeyNow':
      return same({});
    case 'sameKeyOnce':
      return failed.filter(({ failure }) => counts(failure.kind)).length > 1 ? [] : same({});
    case 'sameKeySoon':
      return wasTaken ? [] : same({ waitMs: jitter(random) });
    case 'sameKeyLater': {
      const waitMs = laterMs(last.failure, prospects, now);
      return wasTaken || waitMs === null ? [] : same({ waitMs });
    }
    // The ring gives none of its keys before the account may be asked again.
    case 'accountLater':
      return [
        ...other(last.model).map((step) => ({ ...step, withoutAccounts: noAccounts })),
        ...same({}),
      ];
    case 'anyKeyLater': {
      const waitMs = Math.min(last.failure.retryAfterMs ?? 0, maxModelWaitMs) + jitter(random);
      return [...other(last.model), ...same({})].map((step) => ({ ...step, waitMs }));
    }
  }

  // Another model with the keys at hand, where none is left that was not asked: nothing is known
  // against the keys themselves.
  function again(through: Way, model: string): Step[] {
    const guilty = failed.filter(({ failure }) => isOfKey(failure) || !isFresh(failure, model));
    return [
      {
        way: through,
        model,
        onlyKey: null,
        withoutKeys: new Set([...usedUp(failed), ...guilty.map(({ keyId }) => keyId)]),
        withoutAccounts: spentAccounts(failed, model),
        waitMs: 0,
      },
    ];
  }
}

const noAccounts: ReadonlySet<string> = new Set();

function otherKeySteps(way: Way, last: FailedAttempt, failed: readonly FailedAttempt[]) {
  return (model: string): Step[] => {
    const spent = spentAccounts(failed, model);
    const withoutKeys = new Set(failed.map(({ keyId }) => keyId));
    const step = { way, model, onlyKey: null, withoutKeys, waitMs: 0 };
    const elsewhere = new Set([...spent, ...failed.map(({ accountId }) => accountId)]);
    const anywhere = { ...step, withoutAccounts: spent };
    return way === 'otherAccount' || prefersOtherAccount.has(last.failure.kind)
      ? [{ ...step, withoutAccounts: elsewhere }, anywhere]
      : [anywhere];
  };
}

// What went wrong on the way may lie in the account's address, or in what it shares.
const prefersOtherAccount = new Set<FailureKind>([
  'unreachable',
  'timeout',
  'firstTokenTimeout',
  'brokenAnswer',
  'edgeRateLimit',
]);

function sameKeyStep(way: Way, last: FailedAttempt, failed: readonly FailedAttempt[]) {
  return (by: { model?: string; waitMs?: number }): Step[] =>
    usedUp(failed).has(last.keyId)
      ? []
      : [
          {
            way,
            model: by.model ?? last.model,
            onlyKey: last.keyId,
            withoutKeys: new Set(),
            withoutAccounts: new Set(),
            waitMs: by.waitMs ?? 0,
          },
        ];
}

function usedUp(failed: readonly FailedAttempt[]): Set<string> {
  const calls = new Map<string, number>();
  for (const { keyId } of failed) {
    calls.set(keyId, (calls.get(keyId) ?? 0) + 1);
  }
  return new Set([...calls].filter(([, n]) => n >= maxCallsOfKey).map(([keyId]) => keyId));
}

// Accounts of which this request knows that they will not serve the model.
function spentAccounts(failed: readonly FailedAttempt[], model: string): Set<string> {
  return new Set(
    failed
      .filter(({ failure, model: asked }) =>
        failure.scope === 'accountModel' ? asked === model : !isFresh(failure, model),
      )
      .map(({ accountId }) => accountId),
  );
}

// Whether the failure says nothing against the account when it is asked for this model.
function isFresh(failure: LlmFailure, model: string): boolean {
  return failure.scope !== 'account' || (failure.isFreeClass && !isFree(model));
}

function isOfKey(failure: LlmFailure): boolean {
  return failure.scope === 'key';
}

/** Whether the model costs nothing, by OpenRouter's naming; such ones have limits of their own. */
export function isFree(model: string): boolean {
  return model.endsWith(':free');
}

// Full jitter, so that those who failed together do not come back together.
function jitter(random: number): number {
  return 200 + Math.floor(random * 400);
}

function laterMs(failure: LlmFailure, prospects: Prospects, now: number): number | null {
  const isOfModel = failure.scope === 'model';
  const told = failure.retryAfterMs ?? 1_000;
  const left = isOfModel ? (prospects.modelDownUntil ?? now) - now : 0;
  // A little later than told: what cools is well again at its instant, not before.
  const waitMs = Math.max(told, left) + 20;
  return waitMs > (isOfModel ? maxModelWaitMs : maxAccountWaitMs) + 20 ? null : waitMs;
}
