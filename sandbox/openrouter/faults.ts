import { z } from 'zod';
import { seededRandom } from '../chance';

/** Everything that can go wrong, as the vendor's own words name it. */
export const openRouterFaults = [
  // 400, 404, 412, 413, 422: the request is wrong.
  'invalidRequest',
  'invalidPrompt',
  'stringTooLong',
  'invalidImage',
  'imageTooLarge',
  'imageNotFound',
  'contextLengthExceeded',
  'tokenLimitExceeded',
  'contentPolicy',
  'refusal',
  'preconditionFailed',
  'payloadTooLarge',
  'unprocessable',
  // 401, 402, 403: the key or its account may not.
  'unauthorized',
  'outOfCredits',
  'keyLimit',
  'inFlightBudget',
  'weightExceedsBudget',
  'moderation',
  'guardrail',
  'guardrailBudget',
  'workspaceBudget',
  'keyBudget',
  'regionRestricted',
  'permissionDenied',
  // 404: nobody serves the model so.
  'noEndpoints',
  'modelDeprecated',
  'privacyConstraint',
  'parameterConstraint',
  // 408, 504, 524
  'requestTimeout',
  'gatewayTimeout',
  'edgeTimeout',
  // 429
  'platformRateLimit',
  'freeRateLimit',
  'upstreamRateLimit',
  'capacityExhausted',
  'edgeRateLimit',
  'edgeBan',
  // 5xx
  'serverError',
  'badGateway',
  'unavailable',
  'overloaded',
  // Nothing is answered.
  'connectionReset',
  'hang',
  // 200 that is none.
  'errorInBody',
  'errorFinish',
  'emptyContent',
  'invalidJson',
  // Answers that come late or break off; `cutBeforeFirstChunk` after the head of the answer.
  'firstTokenLate',
  'cutBeforeFirstChunk',
  'midStreamError',
  'midStreamSilence',
  'midStreamCut',
  'noDone',
] as const;

export type OpenRouterFaultName = (typeof openRouterFaults)[number];

const paths = ['chat', 'embeddings', 'images', 'key', 'credits', 'models', 'generation'] as const;

export type OpenRouterPath = (typeof paths)[number];

const inference: readonly OpenRouterPath[] = ['chat', 'embeddings', 'images'];
const millis = z.number().int().min(0).max(86_400_000);

/**
 * What goes wrong, for which calls and how long. The first rule that matches a call decides it; of
 * the rules that only make answers slow, all that match count.
 */
export const FaultRule = z.strictObject({
  /** Without it answers are only slow; refusals are not. */
  fault: z.enum(openRouterFaults).optional(),
  /** Before the answer, or before the first token of one that streams. */
  latencyMs: millis.optional(),
  /** Between two chunks of an answer that streams. */
  chunkDelayMs: millis.optional(),
  /** Its label, or the last four characters of its secret. */
  key: z.string().min(1).optional(),
  account: z.string().min(1).optional(),
  model: z.string().min(1).optional(),
  /** Default: what models are asked by. */
  paths: z.array(z.enum(paths)).min(1).optional(),
  /** Whether answers that stream are meant, or the others; default both. */
  stream: z.boolean().optional(),
  /** At most so many calls. */
  count: z.number().int().min(1).optional(),
  /** Of the calls that match. */
  share: z.number().min(0).max(1).optional(),
  /** Lets so many matching calls pass first. */
  afterCalls: z.number().int().min(0).optional(),
  startsAfterMs: millis.optional(),
  /** From when it starts. */
  forMs: millis.optional(),
  /** Begins anew in this rhythm; `forMs` says how long it lasts each time. */
  everyMs: millis.min(1).optional(),
  retryAfterSeconds: z.number().int().min(0).max(2_592_000).optional(),
  /** When a limit or budget comes back; default when the rule ends, else after `retryAfterSeconds` or a minute. */
  resetsInSeconds: z.number().min(0).max(5_184_000).optional(),
  /** The HTTP status that an error in a 200 or in the middle of a stream speaks of. */
  code: z.number().int().min(400).max(599).optional(),
  /** Whether the vendor says why by `error_type`; default true. */
  typed: z.boolean().optional(),
  /** How much of an answer comes before it breaks off. */
  afterChunks: z.number().int().min(1).max(1_000).optional(),
  fallbackModels: z.array(z.string()).max(20).optional(),
  message: z.string().max(5_000).optional(),
  /** With a seed the n-th matching call always meets the same fate. */
  seed: z.string().optional(),
});
export type FaultRule = z.infer<typeof FaultRule>;

export const FaultRules = z.array(FaultRule).max(1_000);

/**
 * One key of the demo accounts is limited for 40 seconds of every four minutes, so that it can be
 * watched how the others take over and how it comes back.
 */
export const DEMO_OPENROUTER_FAULTS: readonly FaultRule[] = [
  {
    fault: 'platformRateLimit',
    key: 'north-2',
    startsAfterMs: 60_000,
    everyMs: 240_000,
    forMs: 40_000,
  },
];

/** What a rule is matched by. */
export interface FaultSubject {
  path: OpenRouterPath;
  /** Label and last four characters; null where no key was known. */
  key: { label: string; last4: string } | null;
  account: string | null;
  model: string | null;
  isStream: boolean;
}

/** What happens to one call. */
export interface Fate {
  rule: FaultRule | null;
  latencyMs: number;
  chunkDelayMs: number;
  /** When the rule stops by itself; null where it does not. */
  endsAt: number | null;
}

const GOOD: Fate = { rule: null, latencyMs: 0, chunkDelayMs: 0, endsAt: null };

interface Active {
  rule: FaultRule;
  since: number;
  seen: number;
  met: number;
  random: () => number;
}

/** The switchboard of the vendor of models. */
export class OpenRouterFaults {
  private active: Active[] = [];

  constructor(private readonly initial: readonly FaultRule[]) {
    this.replace(initial);
  }

  get rules(): readonly FaultRule[] {
    return this.active.map(({ rule }) => rule);
  }

  replace(rules: readonly FaultRule[], now = Date.now()): void {
    this.active = rules.map((rule) => ({
      rule,
      since: now + (rule.startsAfterMs ?? 0),
      seen: 0,
      met: 0,
      random: rule.seed === undefined ? Math.random : seededRandom(rule.seed),
    }));
  }

  reset(): void {
    this.replace(this.initial);
  }

  /** Decides for the next call; each call asks exactly once. */
  decide(subject: FaultSubject, now: number): Fate {
    if (this.active.length === 0) {
      return GOOD;
    }
    const fate: Fate = { ...GOOD };
    for (const active of this.active) {
      const { rule } = active;
      if ((rule.fault !== undefined && fate.rule) || !isMeant(rule, subject)) {
        continue;
      }
      const endsAt = endOf(active, now);
      if (endsAt === false || !takes(active)) {
        continue;
      }
      fate.latencyMs += rule.latencyMs ?? 0;
      fate.chunkDelayMs += rule.chunkDelayMs ?? 0;
      if (rule.fault !== undefined) {
        fate.rule = rule;
        fate.endsAt = endsAt;
      }
    }
    return fate;
  }
}

function isMeant(rule: FaultRule, { path, key, account, model, isStream }: FaultSubject): boolean {
  return (
    (rule.paths ?? inference).includes(path) &&
    (rule.key === undefined || rule.key === key?.label || rule.key === key?.last4) &&
    (rule.account === undefined || rule.account === account) &&
    (rule.model === undefined || rule.model === model) &&
    (rule.stream === undefined || rule.stream === isStream)
  );
}

// False outside of its time; null where it has no end.
function endOf({ rule, since }: Active, now: number): number | null | false {
  const age = now - since;
  if (age < 0) {
    return false;
  }
  if (rule.forMs === undefined) {
    return null;
  }
  const round = rule.everyMs === undefined ? 0 : Math.floor(age / rule.everyMs) * rule.everyMs;
  return age - round < rule.forMs ? since + round + rule.forMs : false;
}

function takes(active: Active): boolean {
  const { rule } = active;
  active.seen += 1;
  if (active.seen <= (rule.afterCalls ?? 0) || active.met >= (rule.count ?? Infinity)) {
    return false;
  }
  if (rule.share !== undefined && active.random() >= rule.share) {
    return false;
  }
  active.met += 1;
  return true;
}
