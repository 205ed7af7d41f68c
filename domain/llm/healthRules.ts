import type { FailureKind } from './failures';
import type { HealthScope, HealthState } from './types';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** What a failure does to the health of its subject, and when that ends. */
export interface HealthRule {
  readonly of: HealthScope;
  readonly state: HealthState;
  /** How long it is left alone where the vendor names no time; null: until a check says more. */
  readonly firstMs: number | null;
  /** Each failed trial makes that so many times longer, */
  readonly growth: number;
  /** up to this. A time that the vendor names knows no such bound. */
  readonly mostMs: number;
  /** Whether a time that the vendor names counts. */
  readonly isVendorHeard: boolean;
  /** How long after the first, second, … failure somebody looks, the last one again and again; none: at its end. */
  readonly checksMs: readonly number[];
}

/** Counted by the breakers; one alone changes nothing. */
export type Soft = 'soft';

const cooling = { state: 'cooling', growth: 1, isVendorHeard: true, checksMs: [] } as const;
const suspended = {
  state: 'suspended',
  firstMs: null,
  growth: 1,
  mostMs: Infinity,
  isVendorHeard: true,
} as const;

/** What a call's failure does; null where nobody's health is touched. */
export const callRules: Readonly<Record<FailureKind, HealthRule | Soft | null>> = {
  invalidRequest: null,
  contextLength: null,
  refused: null,
  moderation: null,
  schemaMismatch: null,
  exceedsBalance: null,
  cancelled: null,

  // Left alone until somebody asked the vendor about the key itself, which is done at once.
  authentication: {
    ...cooling,
    of: 'key',
    firstMs: 30 * second,
    mostMs: 30 * second,
    isVendorHeard: false,
    checksMs: [0],
  },
  // At once, to learn when its limit comes back.
  keyLimit: { ...suspended, of: 'key', checksMs: [0, 5 * minute, 30 * minute] },
  budgetSpent: { ...suspended, of: 'key', checksMs: [] },
  credits: { ...suspended, of: 'account', checksMs: [minute, 5 * minute] },
  inFlightBudget: {
    ...cooling,
    of: 'account',
    firstMs: 2 * second,
    growth: 2,
    mostMs: minute,
  },
  tokenLimit: {
    of: 'account',
    state: 'draining',
    firstMs: null,
    growth: 1,
    mostMs: Infinity,
    isVendorHeard: false,
    checksMs: [minute, 5 * minute],
  },
  // Of the class of free models where the vendor says so.
  platformRateLimit: {
    ...cooling,
    of: 'account',
    firstMs: 10 * second,
    growth: 2,
    mostMs: 5 * minute,
  },
  notPermitted: {
    ...cooling,
    of: 'accountModel',
    firstMs: 24 * hour,
    mostMs: 24 * hour,
    isVendorHeard: false,
  },
  modelUnavailable: {
    ...cooling,
    of: 'model',
    firstMs: 10 * minute,
    mostMs: 10 * minute,
    isVendorHeard: false,
  },
  upstreamRateLimit: { ...cooling, of: 'model', firstMs: 5 * second, growth: 2, mostMs: minute },
  // Half of the usual goes on: the edge is for all keys the same.
  edgeRateLimit: {
    of: 'platform',
    state: 'draining',
    firstMs: 30 * second,
    growth: 1,
    mostMs: 30 * second,
    isVendorHeard: true,
    checksMs: [],
  },

  timeout: 'soft',
  serverError: 'soft',
  firstTokenTimeout: 'soft',
  emptyAnswer: 'soft',
  brokenAnswer: 'soft',
  unreachable: 'soft',
};

/** What a probe's failure does to what had failed so before: that was its second chance. */
export const probeRules: Readonly<Partial<Record<FailureKind, HealthRule>>> = {
  authentication: { ...suspended, of: 'key', checksMs: [5 * minute, 30 * minute, 6 * hour] },
};

/** What a breaker does that has opened, by what it guards. */
export const breakerRules = {
  key: { ...cooling, of: 'key', firstMs: 30 * second, growth: 2, mostMs: 5 * minute },
  model: { ...cooling, of: 'model', firstMs: 5 * second, growth: 2, mostMs: minute },
  /** Of accounts at an address that does not answer, where others do. */
  account: { ...cooling, of: 'account', firstMs: 2 * second, mostMs: 2 * second },
  platform: { ...cooling, of: 'platform', firstMs: 2 * second, mostMs: 2 * second },
} as const satisfies Partial<Record<HealthScope, HealthRule>>;

/** What a refused key does while most of its pool's are: it may be the platform, so none is suspended. */
export const incidentRule: HealthRule = {
  ...cooling,
  of: 'key',
  firstMs: 30 * second,
  mostMs: 30 * second,
  isVendorHeard: false,
  checksMs: [30 * second],
};

/** Within which refused keys count as refused at the same time, and how long that lasts after the last. */
export const incidentMs = minute;
