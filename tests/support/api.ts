import type { AddressInfo } from 'node:net';
import { createApp } from '../../api/app';
import type { ApiDeps } from '../../api/deps';
import { createCampaignWorkflows } from '../../clients/campaigns';
import { createConnectionTests } from '../../clients/connectionTests';
import { createKeyrings } from '../../clients/keyrings';
import { createContentGenerations } from '../../clients/contentGenerations';
import { createTestSends } from '../../clients/testSends';
import { startLlm } from '../../gateway/start';
import { loadConfig } from '../../lib/config';
import { createKeyedHash } from '../../lib/keyedHash';
import type { Knex } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { createMetrics } from '../../lib/metrics';
import { createSealing } from '../../lib/sealing';
import { connectTemporal } from '../../lib/temporal';
import { createTrackingTokens } from '../../lib/trackingTokens';
import { accessTokensOf } from '../../models/identity/signingKeys';
import { testDataConverter } from './dataConverter';
import { createQuotaLeases } from '../../models/identity/quotaLeases';
import { adminOf, createTestDatabase } from './postgres';
import { temporalAddress } from './temporal';

/** An answer with its body read: parsed when it is JSON, as text otherwise. */
export interface ApiAnswer {
  status: number;
  headers: Headers;
  text: string;
  // What comes over HTTP has whatever shape the test expects of it.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any;
}

export interface RequestOptions {
  token?: string | undefined;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: NonNullable<RequestInit['body']>;
  headers?: Record<string, string>;
}

export interface TestApi {
  readonly url: string;
  /** The administrator's pool, for tests to look; the API itself has `deps.db`. */
  readonly db: Knex;
  readonly deps: ApiDeps;
  /** `send('post', '/api/v1/…', { token, json })`. */
  send(method: string, path: string, options?: RequestOptions): Promise<ApiAnswer>;
  stop(): Promise<void>;
}

/** The whole API on a port of its own, on a database of its own and the run's Temporal server. */
export async function startTestApi(overrides: Partial<ApiDeps> = {}): Promise<TestApi> {
  const database = await createTestDatabase();
  const db = overrides.db ?? database.app;
  const config = loadConfig([], {
    NODE_ENV: 'test',
    DATABASE_URL: database.url,
    TRACKING_SECRET: 'another secret of the tests, long enough',
    PUBLIC_URL: 'http://carillon.test',
    CORS_ORIGINS: 'https://console.example.com',
    // Tests ask as often as they like; those of limits set their own.
    RATE_LIMIT_AUTH_PER_MIN: '0',
    RATE_LIMIT_UPLOAD_PER_MIN: '0',
    RATE_LIMIT_API_PER_MIN: '0',
  });
  const temporal = connectTemporal(
    { ...config, TEMPORAL_ADDRESS: temporalAddress() },
    testDataConverter(db),
  );
  const sealing = createSealing([{ id: 'test', key: Buffer.alloc(32, 7) }]);
  const accessTokens = overrides.accessTokens ?? accessTokensOf(db, sealing);
  // Where the database cannot be reached the API goes on without keys, as the product does.
  await accessTokens.reload().catch(() => undefined);
  const quotas = createQuotaLeases(db, () => undefined);
  const llm = startLlm(
    {
      db,
      sealing,
      logger: createLogger({ name: 'api', level: 'fatal' }),
      metrics: null,
      onlyPublic: false,
      tell: { stateChanged: () => undefined, wanted: () => undefined },
    },
    { when: 'asked' },
  );
  const deps: ApiDeps = {
    config,
    db,
    logger: createLogger({ name: 'api', level: 'fatal' }),
    metrics: createMetrics('api'),
    temporal,
    accessTokens,
    quotas,
    // Where no worker runs, an update is waited for in vain.
    campaigns: createCampaignWorkflows(temporal, { startMs: 5_000, steerMs: 500 }),
    keyrings: createKeyrings(temporal, createLogger({ name: 'api', level: 'fatal' }), {
      steerMs: 500,
    }),
    testSends: createTestSends(temporal, { startMs: 20_000, waitMs: 500 }),
    contentGenerations: createContentGenerations(temporal, { startMs: 20_000, waitMs: 500 }),
    llm,
    sealing,
    connectionTests: createConnectionTests({ timeoutMs: 5_000, onlyPublic: false }),
    addressHash: createKeyedHash('another secret of the tests, long enough', 'addresses'),
    refreshHash: createKeyedHash('another secret of the tests, long enough', 'refresh tokens'),
    trackingTokens: createTrackingTokens([
      { id: 1, secret: 'another secret of the tests, long enough' },
    ]),
    ...overrides,
  };
  const server = createApp(deps).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${portOf(server.address())}`;
  return {
    url,
    db: adminOf(deps.db),
    deps,
    send: (method, path, options = {}) => send(url + path, method, options),
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      deps.accessTokens.close();
      await Promise.all([quotas.close(), llm.close()]);
      await temporal.connection.close();
      await database.drop();
    },
  };
}

async function send(url: string, method: string, options: RequestOptions): Promise<ApiAnswer> {
  const response = await fetch(url, {
    method: method.toUpperCase(),
    redirect: 'manual',
    headers: {
      ...(options.token === undefined ? {} : { Authorization: `Bearer ${options.token}` }),
      ...(options.json === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...options.headers,
    },
    body: options.json === undefined ? (options.body ?? null) : JSON.stringify(options.json),
  });
  const text = await response.text();
  const isJson = /[/+]json/.test(response.headers.get('Content-Type') ?? '');
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : undefined,
  };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') {
    throw new Error('The test API listens on no port');
  }
  return address.port;
}
