import { createCodecApp } from '../../api/codec/app';
import type { CodecDeps } from '../../api/codec/deps';
import { createRateLimits } from '../../api/rateLimits';
import { loadConfig } from '../../lib/config';
import type { Knex } from '../../lib/db';
import { listen } from '../../lib/httpProcess';
import { newId } from '../../lib/ids';
import { createKeyedHash } from '../../lib/keyedHash';
import { createLogger } from '../../lib/logger';
import { createMetrics } from '../../lib/metrics';
import { hashPassword } from '../../lib/passwords';
import type { Role } from '../../domain/identity/permissions';
import { acrossTenants } from '../../models/base';
import { createAccount } from '../../models/identity/accounts';
import { testSealing } from './accounts';
import { testDataKeys } from './dataConverter';

/** Whose pages may ask the codec server of the tests. */
export const uiOrigin = 'http://temporal-ui.test:8233';

/** A payload as JSON writes it. */
export interface JsonPayload {
  metadata: Record<string, string>;
  data: string;
}

/** An answer to a page of the UI: payloads, or a problem. */
export interface CodecAnswer {
  status: number;
  payloads: JsonPayload[];
  code?: string;
  errors?: { path: string }[];
}

export interface TestCodec {
  readonly url: string;
  readonly deps: CodecDeps;
  /** The form's token and its cookie, as a browser has them once it has the page. */
  form(): Promise<{ token: string; cookie: string }>;
  /** Sends the form of the page, and answers what came back. */
  signIn(person: { email: string; password: string; code?: string }): Promise<Response>;
  /** The cookie of somebody who signed in. */
  cookieOf(person: { email: string; password: string }): Promise<string>;
  /** Asks as the UI does. */
  ask(what: 'decode' | 'encode', payloads: unknown, cookie?: string): Promise<CodecAnswer>;
  stop(): Promise<void>;
}

/** The codec server on a port of its own, over this database. */
export async function startTestCodec(
  db: Knex,
  overrides: Partial<CodecDeps> = {},
): Promise<TestCodec> {
  const config = loadConfig([], { NODE_ENV: 'test', RATE_LIMIT_AUTH_PER_MIN: '0' });
  const logger = createLogger({ name: 'codec', level: 'fatal' });
  const deps: CodecDeps = {
    config,
    db,
    logger,
    metrics: createMetrics('codec'),
    sealing: testSealing,
    dataKeys: testDataKeys(db),
    addressHash: createKeyedHash('another secret of the tests, long enough', 'addresses'),
    rateLimits: createRateLimits({ config, db, logger }),
    uiUrl: uiOrigin,
    ...overrides,
  };
  const server = await listen(createCodecApp(deps), { port: 0, host: '127.0.0.1' });
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;

  const codec: TestCodec = {
    url,
    deps,
    async form() {
      const page = await fetch(`${url}/login`);
      const token = /name="formToken" value="([^"]+)"/.exec(await page.text())?.[1] ?? '';
      return { token, cookie: cookiesOf(page) };
    },
    async signIn({ email, password, code = '' }) {
      const { token, cookie } = await codec.form();
      return fetch(`${url}/login`, {
        method: 'POST',
        redirect: 'manual',
        headers: { Cookie: cookie, Origin: url },
        body: new URLSearchParams({ formToken: token, email, password, code }),
      });
    },
    async cookieOf(person) {
      const answer = await codec.signIn(person);
      if (answer.status !== 303) {
        throw new Error(`Signing in answered ${answer.status}`);
      }
      return cookiesOf(answer);
    },
    async ask(what, payloads, cookie) {
      const response = await fetch(`${url}/codec/${what}`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'X-Namespace': 'carillon',
          Origin: uiOrigin,
          ...(cookie === undefined ? {} : { Cookie: cookie }),
        },
        body: JSON.stringify({ payloads }),
      });
      const body: Omit<CodecAnswer, 'status'> = JSON.parse(await response.text());
      return { status: response.status, ...body };
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return codec;
}

export interface Person {
  userId: string;
  tenantId: string;
  email: string;
  password: string;
}

/** Somebody with a password and a tenant of their own, in which they have this role. */
export async function buildPerson(
  db: Knex,
  options: { role?: Role; isPlatformAdmin?: boolean } = {},
): Promise<Person> {
  const { role = 'owner', isPlatformAdmin = false } = options;
  const [userId, tenantId] = [newId(), newId()];
  const email = `reader-${userId}@example.com`;
  const password = `a password of ${userId}`;
  await createAccount(db, {
    tenantId,
    userId,
    email,
    companyName: 'Bells & Co',
    passwordHash: await hashPassword(password),
    firstName: 'Rita',
    lastName: 'Reader',
    timeZone: 'UTC',
    language: 'en',
  });
  await acrossTenants(db, 'identity', async (trx) => {
    await trx('memberships').where({ user_id: userId }).update({ role });
    await trx('users')
      .where({ id: userId })
      .update({ is_platform_admin: isPlatformAdmin, email_verified_at: trx.fn.now() });
  });
  return { userId, tenantId, email, password };
}

function cookiesOf(answer: Response): string {
  return answer.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
}
