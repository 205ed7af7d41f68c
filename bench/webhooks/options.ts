import { parseArgs } from 'node:util';
import { z } from 'zod';

const count = z.coerce.number().int().min(1);

const Flags = z.object({
  messages: count.default(400_000),
  batch: count.max(20_000).default(100),
  senders: count.default(2),
  /** Posts that each sender has under way. */
  connections: count.default(8),
  /** Events a second over all senders; 0 posts as fast as the API answers. */
  rate: z.coerce.number().int().min(0).default(0),
  apis: count.default(1),
  workers: count.default(1),
  baseline: count.default(200_000),
  profile: z.string().optional(),
});

export type WebhookBenchOptions = z.infer<typeof Flags>;

/** What the command line asks for. Throws with one sentence when it cannot be understood. */
export function readOptions(args: string[]): WebhookBenchOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: {
      messages: text,
      batch: text,
      senders: text,
      connections: text,
      rate: text,
      apis: text,
      workers: text,
      baseline: text,
      profile: text,
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
