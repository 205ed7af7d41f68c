import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import Table from 'cli-table3';
import { Agent, request } from 'node:http';
import { childEnvironment } from '../lib/config';
import { createDatabase } from '../lib/db';
import { newId } from '../lib/ids';
import { hashPassword } from '../lib/passwords';
import { migrate } from '../migrations';
import { createAccount } from '../models/identity/accounts';
import { createCustomer } from '../models/customers/customers';
import { withTenant } from '../models/base';
import {
  administer,
  appLogin,
  startPostgres,
  withDatabase,
  withLogin,
} from '../tests/support/postgres';
import { ensureAppLogin } from '../workers/launch/appLogin';
import { isOk } from '../workers/launch/parts';
import { freePort } from '../workers/launch/ports';
import { buildForBench } from './campaign/build';

const parallelLogins = 20;
const seconds = 20;
const warmUpSeconds = 3;
const othersASecond = 40;
const customers = 200;

// The product has two cores, as it would on a small machine; who asks has the others.
const itsCores = '0,1';
const ourCores = '2-63';

const password = 'a password of the benchmark';
const limits = { loginP95Ms: 500, othersP95Ms: 50 };

/**
 * How long a login takes while 20 go on at once, and everything else meanwhile: a real API process and
 * Postgres on two cores. Prints a table and, as its last line, the figures as JSON; fails when one is
 * over its limit, or when anything was refused.
 */
async function main(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'carillon-login-'));
  process.stderr.write('starting Postgres, compiling the product\n');
  const [dist, postgres] = await Promise.all([
    buildForBench(folder),
    startPostgres({ dir: path.join(folder, 'postgres') }),
  ]);
  const databaseUrl = withDatabase(postgres.url, 'carillon');
  await administer(postgres.url, 'create database carillon');
  const db = createDatabase({ url: databaseUrl, applicationName: 'carillon-bench' });
  let stopApi = () => Promise.resolve();
  try {
    await migrate(db);
    await ensureAppLogin(postgres.url, appLogin);
    const emails = await writePeople(db);
    // Connections are processes of their own, and have the cores of who made them.
    pin(postgres.pid, itsCores);
    pin(process.pid, ourCores);
    const api = await startApi(dist, withLogin(databaseUrl, appLogin));
    stopApi = () => api.stop();
    report(await measure(api.url, emails));
  } finally {
    await stopApi();
    await db.destroy();
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One person each, so that none is locked out by being in twice at the same moment. */
async function writePeople(db: ReturnType<typeof createDatabase>): Promise<string[]> {
  const passwordHash = await hashPassword(password);
  const emails: string[] = [];
  for (let n = 0; n < parallelLogins + 1; n += 1) {
    const tenantId = newId();
    const email = `person-${n}@example.com`;
    await createAccount(db, {
      tenantId,
      userId: newId(),
      companyName: 'Bells & Co',
      email,
      passwordHash,
      firstName: null,
      lastName: null,
      timeZone: 'UTC',
      language: 'en',
    });
    emails.push(email);
    if (n === 0) {
      await withTenant(db, tenantId, async (trx) => {
        for (let c = 0; c < customers; c += 1) {
          await createCustomer(
            trx,
            { tenantId, id: newId() },
            { email: `customer-${c}@example.com`, firstName: 'Ada' },
          );
        }
      });
    }
  }
  return emails;
}

async function startApi(
  dist: string,
  databaseUrl: string,
): Promise<{ url: string; stop(): Promise<void> }> {
  const port = await freePort();
  const program = [process.execPath, path.join(dist, 'api/server.js')];
  const [command = '', ...args] = canPin() ? ['taskset', '-c', itsCores, ...program] : program;
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: childEnvironment({
      NODE_ENV: 'development',
      LOG_LEVEL: 'warn',
      DATABASE_URL: databaseUrl,
      // Nothing here asks for it.
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      TRACKING_SECRET: 'a secret of the benchmark that is long enough',
      SEALING_KEYS: `bench:${Buffer.alloc(32, 'bench').toString('base64')}`,
      API_PORT: String(port),
      RATE_LIMIT_AUTH_PER_MIN: '1000000',
      RATE_LIMIT_API_PER_MIN: '1000000',
      SUPERVISOR_PID: String(process.pid),
    }),
  });
  const gone = once(child, 'exit');
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + 30_000;
  while (!(await isOk(`${url}/health`))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error('The API did not get ready');
    }
    await wait(50);
  }
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

interface Figures {
  logins: number[];
  others: number[];
  refused: number;
}

async function measure(url: string, [reader = '', ...emails]: string[]): Promise<Figures> {
  const agent = new Agent({ keepAlive: true });
  const login = (email: string) =>
    ask(agent, 'POST', `${url}/api/v1/auth/login`, { body: { email, password } });
  const { text } = await login(reader);
  const token: string = JSON.parse(text).data.accessToken;
  const figures: Figures = { logins: [], others: [], refused: 0 };
  const countsFrom = performance.now() + warmUpSeconds * 1_000;
  const endsAt = countsFrom + seconds * 1_000;
  const note = (list: number[], status: number, began: number) => {
    figures.refused += status === 200 ? 0 : 1;
    if (began >= countsFrom) {
      list.push(performance.now() - began);
    }
  };
  const loggingIn = emails.map(async (email) => {
    while (performance.now() < endsAt) {
      const began = performance.now();
      note(figures.logins, (await login(email)).status, began);
    }
  });
  // They come when they come, and do not wait for one another.
  const paths = ['/api/v1/users/me', '/api/v1/customers?perPage=50'];
  const others: Promise<void>[] = [];
  for (let n = 0; performance.now() < endsAt; n += 1) {
    const began = performance.now();
    others.push(
      ask(agent, 'GET', url + paths[n % paths.length], { token }).then(({ status }) =>
        note(figures.others, status, began),
      ),
    );
    await wait(1_000 / othersASecond);
  }
  await Promise.all([...loggingIn, ...others]);
  agent.destroy();
  return figures;
}

function ask(
  agent: Agent,
  method: string,
  url: string,
  { token, body }: { token?: string; body?: unknown },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        agent,
        method,
        headers: {
          ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function report({ logins, others, refused }: Figures): void {
  const table = new Table({
    head: ['', 'requests', 'a second', 'p50 ms', 'p95 ms', 'p99 ms', 'at most'],
    style: { head: [], border: [] },
  });
  const rows: [string, number[], string][] = [
    [`logins, ${parallelLogins} at once`, logins, `${limits.loginP95Ms}`],
    [`others, ${othersASecond} a second`, others, `${limits.othersP95Ms}`],
  ];
  for (const [what, list, limit] of rows) {
    table.push([
      what,
      list.length,
      (list.length / seconds).toFixed(1),
      ...[0.5, 0.95, 0.99].map((share) => percentile(list, share).toFixed(1)),
      limit,
    ]);
  }
  const loginP95Ms = Number(percentile(logins, 0.95).toFixed(1));
  const othersP95Ms = Number(percentile(others, 0.95).toFixed(1));
  const isPinned = canPin();
  process.stdout.write(`${table.toString()}\n`);
  process.stdout.write(`${JSON.stringify({ loginP95Ms, othersP95Ms, refused, isPinned })}\n`);
  const isGood =
    refused === 0 && loginP95Ms < limits.loginP95Ms && othersP95Ms < limits.othersP95Ms;
  process.exitCode = isGood ? 0 : 1;
}

function percentile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function pin(pid: number, cores: string): void {
  if (canPin()) {
    execFileSync('taskset', ['-apc', cores, String(pid)], { stdio: 'ignore' });
  }
}

let isTasksetThere: boolean | undefined;

// Linux alone has it; elsewhere the figures are those of all cores.
function canPin(): boolean {
  if (isTasksetThere === undefined) {
    try {
      execFileSync('taskset', ['--version'], { stdio: 'ignore' });
      isTasksetThere = true;
    } catch {
      isTasksetThere = false;
    }
  }
  return isTasksetThere;
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
