import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { ourScript, projectRoot } from '../../workers/launch/ourScript';
import { freePort } from '../../workers/launch/ports';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { accessTokensOf } from '../../models/identity/signingKeys';
import { until } from '../support/conditions';
import { buildTenant } from '../support/factories';
import { createTestDatabase } from '../support/postgres';
import { temporalAddress } from '../support/temporal';

const sealingKeys = `k1:${Buffer.alloc(32, 7).toString('base64')}`;

function startServer(environment: Record<string, string>): {
  child: ChildProcess;
  output: () => string;
} {
  const child = spawn(process.execPath, ourScript('api/server'), {
    cwd: projectRoot,
    env: { PATH: process.env['PATH'], LOG_LEVEL: 'error', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return { child, output: () => output };
}

test('says everything that is wrong with its configuration at once, and ends', async () => {
  const { child, output } = startServer({ API_PORT: 'many', TRACKING_SECRET: 'short' });
  const [code] = await once(child, 'exit');

  expect(code).toBe(1);
  for (const name of [
    'API_PORT',
    'DATABASE_URL',
    'TEMPORAL_ADDRESS',
    'TRACKING_SECRET',
    'SEALING_KEYS',
  ]) {
    expect(output()).toContain(name);
  }
  expect(output()).not.toContain('    at ');
});

test('finishes the request it is in when it is asked to stop, and takes no other', async () => {
  const database = await createTestDatabase();
  const port = await freePort();
  const { child } = startServer({
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: temporalAddress(),
    API_PORT: String(port),
    TRACKING_SECRET: 'another secret of the tests, long enough',
    SEALING_KEYS: sealingKeys,
  });
  try {
    await until('the API answers', () => isUp(port));
    const accessTokens = accessTokensOf(database.db, createSealing(parseSealingKeys(sealingKeys)));
    await accessTokens.reload();
    const { token } = await buildTenant({ db: database.db, accessTokens });
    accessTokens.close();
    const request = http.request({
      port,
      method: 'POST',
      path: '/api/v1/customers',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      agent: new http.Agent({ keepAlive: true }),
    });
    const answered = once(request, 'response');
    await new Promise((resolve) => request.write('{"email":', resolve));
    // A later connection that was answered: the earlier one has been taken too.
    expect(await isUp(port)).toBe(true);

    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await until('the port is closed', async () => !(await isUp(port)));
    request.end('"a@example.com"}');

    const [response]: http.IncomingMessage[] = await answered;
    expect(response?.statusCode).toBe(201);
    response?.resume();
    const [code] = await ended;
    expect(code).toBe(0);
  } finally {
    child.kill('SIGKILL');
    await database.drop();
  }
});

function isUp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get({ port, path: '/health', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', () => resolve(false));
  });
}
