import { parseArgs } from 'node:util';
import { z } from 'zod';

const Flags = z.object({
  'max-examples': z.coerce.number().int().min(1).max(10_000).default(20),
  seed: z.coerce.number().int().min(0).default(7),
  workers: z.coerce.number().int().min(1).max(16).default(2),
  'limit-minutes': z.coerce.number().min(0.5).max(240).default(45),
  only: z.string().optional(),
  keep: z.boolean().default(false),
});

export interface FuzzOptions {
  /** Cases of an operation in each of the phases that make them up. */
  maxExamples: number;
  seed: number;
  /** Threads that ask at once; one alone asks the same in the same order each time. */
  workers: number;
  /** After so long the run is given up, and counts as failed. */
  limitMs: number;
  /** A pattern of operation ids, for the time of looking for one thing. */
  only: string | undefined;
  keep: boolean;
}

/** Reads the command line; throws with what is wrong. */
export function parseFuzzOptions(args: string[]): FuzzOptions {
  const { values } = parseArgs({
    args,
    options: {
      'max-examples': { type: 'string' },
      seed: { type: 'string' },
      workers: { type: 'string' },
      'limit-minutes': { type: 'string' },
      only: { type: 'string' },
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
    maxExamples: flags['max-examples'],
    seed: flags.seed,
    workers: flags.workers,
    limitMs: flags['limit-minutes'] * 60_000,
    only: flags.only,
    keep: flags.keep,
  };
}
