import { createPublicKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { parseSealingKeys } from './sealing';

const port = z.coerce.number().int().min(0).max(65_535);
const optionalUrl = z.url().optional();
// How many proxies stand before the API; "true" is one, as it was written before there could be two.
const proxyCount = z
  .enum(['true', 'false'])
  .transform((text) => (text === 'true' ? 1 : 0))
  .or(z.coerce.number().int().min(0).max(10));
const perMinute = z.coerce.number().int().min(0).max(1_000_000);
const postgresUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://');
// It goes into an HTTP header.
const apiKey = z
  .string()
  .regex(/^[\x21-\x7e]{8,500}$/, 'must be 8 to 500 visible ASCII characters');
const flag = z.enum(['true', 'false']).transform((text) => text === 'true');

// Every variable the product reads. `.env.example` explains each; a test keeps the two in step.
const schema = z.object({
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),

  CARILLON_DATA_DIR: z.string().default('.carillon'),
  CARILLON_CACHE_DIR: z.string().default(path.join(homedir(), '.cache', 'carillon')),

  API_HOST: z.string().default('127.0.0.1'),
  API_PORT: port.default(3000),
  API_BODY_TIMEOUT_MS: z.coerce.number().int().min(100).max(300_000).default(30_000),
  API_MAX_CONNECTIONS: z.coerce.number().int().min(10).max(100_000).default(5_000),
  PUBLIC_URL: optionalUrl,
  CORS_ORIGINS: z.string().superRefine(refuseUnusableOrigins).default(''),
  TRUST_PROXY: proxyCount.default(0),
  RATE_LIMIT_AUTH_PER_MIN: perMinute.optional(),
  RATE_LIMIT_UPLOAD_PER_MIN: perMinute.optional(),
  RATE_LIMIT_API_PER_MIN: perMinute.optional(),

  DATABASE_URL: postgresUrl.optional(),
  MIGRATION_DATABASE_URL: postgresUrl.optional(),
  DATABASE_POOL_MAX: z.coerce.number().int().min(2).max(200).default(20),
  POSTGRES_PORT: port.default(5439),

  TEMPORAL_ADDRESS: z
    .string()
    .regex(/^[^\s/]+:\d+$/, 'must be host:port')
    .optional(),
  TEMPORAL_NAMESPACE: z.string().min(1).default('carillon'),
  TEMPORAL_TLS: flag.default(false),
  TEMPORAL_API_KEY: z.string().optional(),
  TEMPORAL_CLI_PATH: z.string().optional(),
  TEMPORAL_PORT: port.default(7233),
  TEMPORAL_UI_PORT: port.default(8233),
  TEMPORAL_UI_URL: optionalUrl,

  CODEC_HOST: z.string().default('127.0.0.1'),
  CODEC_PORT: port.default(8234),
  CODEC_URL: optionalUrl,

  SANDBOX_PORT: port.default(8025),

  WORKERS: z.coerce.number().int().min(1).max(64).default(1),
  WORKER_HOST: z.string().default('127.0.0.1'),
  WORKER_PORT: port.default(3100),
  WORKFLOW_BUNDLE_PATH: z.string().optional(),
  SUPERVISOR_PID: z.coerce.number().int().min(2).optional(),

  TRACKING_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  SEALING_KEYS: z.string().superRefine(refuseUnreadableKeys).optional(),

  SENDGRID_API_KEY: z.string().startsWith('SG.', 'must start with SG.').optional(),
  SENDGRID_BASE_URL: optionalUrl,
  SENDGRID_ACTIVITY_LOOK_UP: flag.default(false),
  SENDGRID_WEBHOOK_PUBLIC_KEY: z
    .string()
    .refine(isPublicKey, 'must be the base64 public key that SendGrid shows')
    .optional(),

  OPENROUTER_API_KEY_1: apiKey.optional(),
  OPENROUTER_MANAGEMENT_KEY: apiKey.optional(),
  OPENROUTER_BASE_URL: z.url({ protocol: /^https?$/ }).default('https://openrouter.ai/api/v1'),
  OPENAI_API_KEY: apiKey.optional(),
  OPENAI_BASE_URL: z.url({ protocol: /^https?$/ }).default('https://api.openai.com/v1'),
  OPENAI_MODEL: z.string().min(1).max(200).optional(),
  // The counters of a month live as long as it does; rests of keys are told by the last two hours.
  LLM_CALL_DAYS: z.coerce.number().int().min(32).max(3_650).default(400),
  LLM_TRANSITION_DAYS: z.coerce.number().int().min(1).max(3_650).default(90),

  BULK_EMAIL_RATE_LIMIT_PER_MIN: z.coerce.number().int().min(0).default(0),
  ACCOUNT_MAIL_FROM: z.email().optional(),
  PROVIDER_TIMEOUT_MS: z.coerce.number().int().min(100).default(15_000),
  DISPATCH_LEASE_MS: z.coerce.number().int().min(500).default(60_000),
  SLICE_MS: z.coerce.number().int().min(100).default(60_000),
});

/** Requests a minute where nothing is configured. */
export const rateLimitDefaults = { auth: 5, upload: 10, api: 100 } as const;

export type Config = z.output<typeof schema>;

/** Every variable's name, for the check of `.env.example`. */
export const variableNames: readonly string[] = Object.keys(schema.shape);

/** Thrown when the environment is wrong; the message lists every problem, one a line. */
export class ConfigError extends Error {
  constructor(readonly problems: string[]) {
    super(`The configuration has problems:\n${problems.map((text) => `  - ${text}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

type Requirement = 'DATABASE_URL' | 'TEMPORAL_ADDRESS' | 'TRACKING_SECRET' | 'SEALING_KEYS';

/**
 * Reads the environment (and `.env`, which never overrides it), checks all of it and throws one
 * ConfigError with every problem. `required` names what this process cannot do without.
 */
export function loadConfig<R extends Requirement | keyof Config = never>(
  required: readonly R[] = [],
  environment?: Record<string, string | undefined>,
): Config & { [K in R]-?: NonNullable<Config[K]> } {
  if (environment === undefined && existsSync('.env')) {
    process.loadEnvFile('.env');
  }
  const given = environment ?? process.env;
  const present = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = schema.safeParse(present);
  const problems = parsed.success
    ? []
    : parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  for (const name of required) {
    if (present[name] === undefined && parsed.data?.[name] === undefined) {
      problems.push(`${name}: is required here`);
    }
  }
  problems.push(...crossChecks(parsed.data));
  if (!parsed.success || problems.length > 0) {
    throw new ConfigError(problems);
  }
  if (!hasAll(parsed.data, required)) {
    throw new ConfigError(required.map((name) => `${name}: is required here`));
  }
  return parsed.data;
}

/**
 * `OPENROUTER_API_KEY_1`, `_2` and so on, in the order of their numbers; a number may be missing.
 *
 * @throws ConfigError when one could be no key
 */
export function openRouterKeys(
  environment: Record<string, string | undefined> = process.env,
): string[] {
  const given = Object.entries(environment).flatMap(([name, value]) => {
    const n = /^OPENROUTER_API_KEY_(\d{1,4})$/.exec(name)?.[1];
    return n === undefined || value === undefined || value === '' ? [] : [{ n: +n, name, value }];
  });
  const wrong = given.filter(({ value }) => !apiKey.safeParse(value).success);
  if (wrong.length > 0) {
    throw new ConfigError(
      wrong.map(({ name }) => `${name}: must be 8 to 500 visible ASCII characters`),
    );
  }
  return given.toSorted((a, b) => a.n - b.n).map(({ value }) => value);
}

/** The environment a child process starts with: ours, plus what is given. */
export function childEnvironment(
  extra: Record<string, string | undefined>,
): Record<string, string | undefined> {
  return { ...process.env, ...extra };
}

function isPublicKey(text: string): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'ec';
  } catch {
    return false;
  }
}

// A browser says exactly this of where a page comes from; a wildcard would be everybody, and "null"
// is what pages without an origin say.
function refuseUnusableOrigins(text: string, context: z.RefinementCtx): void {
  const given = text.split(',').map((origin) => origin.trim());
  for (const origin of given.filter((each) => each !== '' && !isOrigin(each))) {
    context.addIssue({
      code: 'custom',
      message: `${JSON.stringify(origin)} is no origin such as https://console.example.com`,
    });
  }
}

function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

function refuseUnreadableKeys(text: string, context: z.RefinementCtx): void {
  try {
    parseSealingKeys(text);
  } catch (error) {
    const message = error instanceof RangeError ? error.message : 'cannot be read';
    context.addIssue({ code: 'custom', message });
  }
}

function crossChecks(config: Config | undefined): string[] {
  if (config === undefined) {
    return [];
  }
  const problems: string[] = [];
  if (config.PROVIDER_TIMEOUT_MS * 2 > config.DISPATCH_LEASE_MS) {
    problems.push(
      'PROVIDER_TIMEOUT_MS: must be at most half of DISPATCH_LEASE_MS, or a slow call could outlive its lease',
    );
  }
  if (config.NODE_ENV === 'production') {
    // Without it every link and unsubscribe address of a mail would lead to localhost.
    if (config.PUBLIC_URL === undefined) {
      problems.push('PUBLIC_URL: is required in production: it goes into every mail');
    } else if (new URL(config.PUBLIC_URL).protocol !== 'https:') {
      problems.push('PUBLIC_URL: must be https in production (RFC 8058 asks for it)');
    }
  }
  return problems;
}

function hasAll<R extends keyof Config>(
  config: Config,
  required: readonly R[],
): config is Config & { [K in R]-?: NonNullable<Config[K]> } {
  return required.every((name) => config[name] !== undefined);
}
