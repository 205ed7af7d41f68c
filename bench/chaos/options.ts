import { parseArgs } from 'node:util';
import { z } from 'zod';
import { routes, type Route } from './accounts';
import { faultNames, type FaultName } from './plan';

const Flags = z.object({
  customers: z.coerce.number().int().min(1).max(1_000_000).default(100_000),
  kills: z.coerce.number().int().min(0).max(100).default(50),
  seed: z.string().default('7'),
  faults: z
    .string()
    .transform((text) => text.split(',').filter((name) => name !== '' && name !== 'none'))
    .pipe(z.array(z.enum(faultNames)))
    .default([...faultNames]),
  doubt: z.enum(['hold', 'sendAgain']).default('sendAgain'),
  'doubt-deadline-ms': z.coerce.number().int().min(1_000).default(240_000),
  'events-late-ms': z.coerce.number().int().min(0).max(600_000).default(120_000),
  routes: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(routes)).min(1))
    .default([...routes]),
  workers: z.coerce.number().int().min(1).max(8).default(2),
  'limit-minutes': z.coerce.number().min(0.5).max(90).default(45),
  keep: z.boolean().default(false),
});

export interface ChaosOptions {
  customers: number;
  /** How often a worker is killed; the API, Temporal and Postgres come on top. */
  kills: number;
  seed: string;
  faults: FaultName[];
  doubtPolicy: 'hold' | 'sendAgain';
  doubtDeadlineMs: number;
  /** How late the provider tells what happened. */
  eventsLateMs: number;
  /** By what the campaigns leave, one each; the customers are divided among them. */
  routes: Route[];
  workers: number;
  limitMs: number;
  keep: boolean;
}

/** Reads the command line; throws with what is wrong. */
export function parseChaosOptions(args: string[]): ChaosOptions {
  const { values } = parseArgs({
    args,
    options: {
      customers: { type: 'string' },
      kills: { type: 'string' },
      seed: { type: 'string' },
      faults: { type: 'string' },
      doubt: { type: 'string' },
      'doubt-deadline-ms': { type: 'string' },
      'events-late-ms': { type: 'string' },
      routes: { type: 'string' },
      workers: { type: 'string' },
      'limit-minutes': { type: 'string' },
      keep: { type: 'boolean' },
    },
  });
  const parsed = Flags.safeParse(values);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `--${path.join('.')}: ${message}`,
    );
    throw new Error(problems.join('\n'));
  }
  const flags = parsed.data;
  return {
    customers: flags.customers,
    kills: flags.kills,
    seed: flags.seed,
    faults: flags.faults,
    doubtPolicy: flags.doubt,
    doubtDeadlineMs: flags['doubt-deadline-ms'],
    eventsLateMs: flags['events-late-ms'],
    routes: flags.routes,
    workers: flags.workers,
    limitMs: flags['limit-minutes'] * 60_000,
    keep: flags.keep,
  };
}
