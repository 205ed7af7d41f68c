import { parseArgs } from 'node:util';
import { z } from 'zod';

const Flags = z.object({
  rows: z.coerce.number().int().min(1_000).max(1_000_000).default(100_000),
  tenants: z.coerce.number().int().min(1).max(500).default(50),
  /** Values that each opening process opens a second. */
  opens: z.coerce.number().int().min(1).max(1_000).default(100),
  /** Changes and tests of connections a second, over all API processes. */
  requests: z.coerce.number().int().min(1).max(200).default(40),
  keep: z.boolean().default(false),
});

export type ResealOptions = z.infer<typeof Flags>;

/** What the command line asks for. Throws with one sentence when it cannot be understood. */
export function readOptions(args: string[]): ResealOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: {
      rows: text,
      tenants: text,
      opens: text,
      requests: text,
      keep: { type: 'boolean' },
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
