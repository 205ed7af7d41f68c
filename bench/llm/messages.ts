import { z } from 'zod';

/** How one process asks: so many requests in so many a second, each not waiting for the others. */
export const LoadPlan = z.object({
  requests: z.number().int(),
  perSecond: z.number(),
  isStream: z.boolean(),
  consumer: z.enum(['buffered', 'resettable', 'raw']),
  firstTokenMs: z.number().nullable(),
  deadlineMs: z.number(),
  /** Begins the name of every conversation. */
  prefix: z.string(),
});
export type LoadPlan = z.infer<typeof LoadPlan>;

/** What became of one request. */
export const Outcome = z.object({
  session: z.string(),
  /** Milliseconds since the epoch. */
  startedAt: z.number(),
  endedAt: z.number(),
  isAnswered: z.boolean(),
  /** What the caller is told: the code of the error, and its kind where it has one. */
  error: z.string().nullable(),
  retryAfterSeconds: z.number().nullable(),
});
export type Outcome = z.infer<typeof Outcome>;

export const Spread = z.object({ p50: z.number(), p95: z.number(), p99: z.number() });
export type Spread = z.infer<typeof Spread>;

/** The same asked by the gateway and by the vendor's client alone, in turn. In milliseconds. */
export const Overhead = z.object({
  direct: Spread,
  gateway: Spread,
  /** Of each gateway's call over the direct one beside it. */
  paired: Spread,
});
export type Overhead = z.infer<typeof Overhead>;

export const Command = z.discriminatedUnion('do', [
  z.object({ do: z.literal('load'), plan: LoadPlan }),
  z.object({ do: z.literal('choose'), rounds: z.number().int() }),
  z.object({ do: z.literal('news'), rounds: z.number().int() }),
  z.object({ do: z.literal('overhead'), rounds: z.number().int(), isStream: z.boolean() }),
  z.object({ do: z.literal('throughput'), parallel: z.number().int(), seconds: z.number() }),
  z.object({ do: z.literal('keys') }),
  z.object({ do: z.literal('stop') }),
]);
export type Command = z.infer<typeof Command>;

export const Reply = z.discriminatedUnion('did', [
  z.object({ did: z.literal('ready') }),
  z.object({
    did: z.literal('load'),
    outcomes: z.array(Outcome),
    /** The longest that the process could do nothing. */
    heldUpMs: z.number(),
  }),
  z.object({ did: z.literal('choose'), micros: Spread }),
  z.object({ did: z.literal('news'), tookMs: Spread }),
  z.object({ did: z.literal('overhead'), overhead: Overhead }),
  z.object({
    did: z.literal('throughput'),
    perSecond: z.number(),
    /** What those were told that were not answered. */
    failed: z.array(z.string()),
    rssMb: z.number(),
  }),
  z.object({
    did: z.literal('keys'),
    keys: z.array(
      z.object({ keyId: z.string(), state: z.string(), reason: z.string().nullable() }),
    ),
  }),
  z.object({ did: z.literal('stop') }),
  z.object({ did: z.literal('fail'), error: z.string() }),
]);
export type Reply = z.infer<typeof Reply>;

/** The value below which a share of the list lies. */
export function percentile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function spreadOf(list: readonly number[]): Spread {
  return { p50: percentile(list, 0.5), p95: percentile(list, 0.95), p99: percentile(list, 0.99) };
}
