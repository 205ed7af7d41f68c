import { parseArgs } from 'node:util';
import { z } from 'zod';
import { wires } from './oneByOneSinks';

const count = z.coerce.number().int().min(1);

const Flags = z.object({
  customers: z
    .string()
    .default('100000,400000')
    .transform((text) => text.split(',').map(Number))
    .pipe(z.array(z.number().int().min(1))),
  workers: count.default(3),
  /** A turn takes some seconds, of which the disk may stand still for one: the median needs a few. */
  rounds: count.default(7),
  /** Messages of the runs with one call each; 0 leaves them out. */
  'one-by-one': z.coerce.number().int().min(0).default(400_000),
  'one-by-one-rounds': count.default(2),
  /** How they travel: by JSON, by SMTP, or one after the other. */
  wires: z
    .string()
    .default(wires.join())
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(wires)).min(1)),
  /** Single messages a second beside the campaign; 0 leaves them out. */
  transactional: z.coerce.number().int().min(0).default(50),
  profile: z.string().optional(),
});

export type BenchOptions = z.infer<typeof Flags>;

/** What the command line asks for. Throws with one sentence when it cannot be understood. */
export function readOptions(args: string[]): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      customers: { type: 'string' },
      workers: { type: 'string' },
      rounds: { type: 'string' },
      'one-by-one': { type: 'string' },
      'one-by-one-rounds': { type: 'string' },
      wires: { type: 'string' },
      transactional: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const parsed = Flags.safeParse(values);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `--${path.join('.')}: ${message}`,
    );
    throw new Error(problems.join('; '));
  }
  return parsed.data;
}
