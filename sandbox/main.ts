import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { createLogger, type Logger } from '../lib/logger';
import {
  DEMO_ENGAGEMENT,
  DEMO_META_ACCOUNT,
  DEMO_OPENROUTER_FAULTS,
  startSandbox,
  type SandboxOptions,
} from './index';

const PARENT_CHECK_MS = 1_000;

const Flags = z.object({
  port: z.coerce.number().int().min(0).max(65_535).default(8025),
  host: z.string().default('127.0.0.1'),
  /** 0: no mail server. */
  'smtp-port': z.coerce.number().int().min(0).max(65_535).default(0),
  'data-dir': z.string().optional(),
  mode: z.enum(['inbox', 'sink']).default('inbox'),
  'webhook-url': z.url().optional(),
  'webhook-key-file': z.string().optional(),
  /** Where statuses and messages of the demo WhatsApp number at Meta go. */
  'meta-webhook-url': z.url().optional(),
  'api-key': z.array(z.string()).optional(),
  engagement: z.boolean().default(false),
  /** Every few minutes one of the demo keys at OpenRouter is limited for a while. */
  'llm-limits': z.boolean().default(false),
  seed: z.string().optional(),
  'parent-pid': z.coerce.number().int().positive().optional(),
});
type Flags = z.infer<typeof Flags>;

const logger = createLogger({ name: 'sandbox' });

main().catch((error: unknown) => {
  logger.fatal(
    `the sandbox cannot start: ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exitCode = 1;
});

/** Runs the sandbox until it is told to stop, or until the process that started it is gone. */
async function main(): Promise<void> {
  const flags = readFlags();
  const sandbox = await startSandbox(await optionsFrom(flags, logger));
  let stopping = false;
  const stop = (reason: string) => {
    if (stopping) {
      return;
    }
    stopping = true;
    logger.info({ reason }, 'sandbox stops');
    sandbox.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'the sandbox did not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  const parent = flags['parent-pid'];
  if (parent !== undefined) {
    // A supervisor that was killed cannot stop its children; left alone they would hold the port.
    setInterval(() => {
      if (!isAlive(parent)) {
        stop('the parent process is gone');
      }
    }, PARENT_CHECK_MS);
  }
}

function readFlags(): Flags {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      host: { type: 'string' },
      'smtp-port': { type: 'string' },
      'data-dir': { type: 'string' },
      mode: { type: 'string' },
      'webhook-url': { type: 'string' },
      'webhook-key-file': { type: 'string' },
      'meta-webhook-url': { type: 'string' },
      'api-key': { type: 'string', multiple: true },
      engagement: { type: 'boolean' },
      'llm-limits': { type: 'boolean' },
      seed: { type: 'string' },
      'parent-pid': { type: 'string' },
    },
  });
  const parsed = Flags.safeParse(values);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `--${path.join('.')}: ${message}`,
    );
    throw new Error(problems.join('; '));
  }
  if (Boolean(parsed.data['webhook-url']) !== Boolean(parsed.data['webhook-key-file'])) {
    throw new Error('--webhook-url and --webhook-key-file belong together');
  }
  return parsed.data;
}

async function optionsFrom(flags: Flags, log: Logger): Promise<SandboxOptions> {
  const url = flags['webhook-url'];
  const keyFile = flags['webhook-key-file'];
  const metaWebhookUrl = flags['meta-webhook-url'];
  return {
    port: flags.port,
    host: flags.host,
    smtp: flags['smtp-port'] === 0 ? undefined : { port: flags['smtp-port'] },
    dataDir: flags['data-dir'],
    mode: flags.mode,
    webhook: url && keyFile ? { url, privateKeyPem: await readFile(keyFile, 'utf8') } : undefined,
    metaAccounts: [
      { ...DEMO_META_ACCOUNT, ...(metaWebhookUrl ? { webhookUrl: metaWebhookUrl } : {}) },
    ],
    apiKeys: flags['api-key'],
    engagement: flags.engagement ? DEMO_ENGAGEMENT : undefined,
    openRouterFaults: flags['llm-limits'] ? DEMO_OPENROUTER_FAULTS : [],
    eventSeed: flags.seed,
    logger: log,
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to someone else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
