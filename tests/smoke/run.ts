/**
 * Runs the build under the Node that runs this file, as `npm start` would run it, and looks whether
 * the demo's first campaign arrives to the message. Prints one line a step; exits 1 at the first
 * that fails.
 */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { freePort } from '../../workers/launch/ports';

const startTimeoutMs = 10 * 60_000;
const campaignTimeoutMs = 120_000;

async function smoke(folder: string): Promise<void> {
  const [api, inbox] = await Promise.all([freePort(), freePort()]);
  const start = path.join(__dirname, '..', '..', 'dist', 'workers', 'start.js');
  const carillon = spawn(process.execPath, [start], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      CARILLON_DATA_DIR: folder,
      API_PORT: String(api),
      SANDBOX_PORT: String(inbox),
      POSTGRES_PORT: '0',
      TEMPORAL_PORT: '0',
      TEMPORAL_UI_PORT: '0',
      WORKER_PORT: '0',
      CODEC_PORT: '0',
    },
  });
  const lines: string[] = [];
  createInterface({ input: carillon.stdout }).on('line', (text) => lines.push(text));
  const isOver = () => carillon.exitCode !== null || carillon.signalCode !== null;
  try {
    const welcome = await until('everything runs', startTimeoutMs, () => {
      assert(!isOver(), `Carillon ended:\n${lines.slice(-20).join('\n')}`);
      return Promise.resolve(lines.find((text) => text.includes('"msg":"Carillon is ready"')));
    });
    await checkDemo(`http://127.0.0.1:${api}`, `http://127.0.0.1:${inbox}`, welcome);
  } finally {
    if (!isOver()) {
      carillon.kill('SIGTERM');
      await once(carillon, 'exit');
    }
  }
  assert.equal(carillon.exitCode, 0, 'Carillon did not stop cleanly');
  tell('everything stopped');
}

const Welcome = z.object({ demo: z.object({ email: z.string(), password: z.string() }) });
const Session = z.object({ data: z.object({ accessToken: z.string() }) });
const Campaigns = z.object({ data: z.array(z.object({ id: z.string(), status: z.string() })) });
const Inbox = z.object({ total: z.number() });
const Metrics = z.object({
  data: z.object({ planned: z.number(), run: z.object({ id: z.string() }) }),
});

async function checkDemo(api: string, inbox: string, welcome: string): Promise<void> {
  await ask(`${api}/openapi.json`, z.object({ openapi: z.string().startsWith('3.1') }));
  const { demo } = Welcome.parse(JSON.parse(welcome));
  const session = await ask(`${api}/api/v1/auth/login`, Session, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(demo),
  });
  const headers = { authorization: `Bearer ${session.data.accessToken}` };
  const finished = await until('a campaign is completed', campaignTimeoutMs, async () => {
    const { data } = await ask(`${api}/api/v1/campaigns`, Campaigns, { headers });
    return data.find(({ status }) => status === 'completed');
  });
  const metrics = await ask(`${api}/api/v1/campaigns/${finished.id}/metrics`, Metrics, { headers });
  const { run } = metrics.data;
  // Mails about the owner's own account are in the inbox, too.
  const { total } = await ask(`${inbox}/api/messages?perPage=1&run=${run.id}`, Inbox);
  assert.ok(metrics.data.planned > 0);
  assert.equal(total, metrics.data.planned, 'the inbox and the plan differ');
  tell(`${total} messages planned and in the inbox`);
}

async function ask<T>(url: string, answer: z.ZodType<T>, init: RequestInit = {}): Promise<T> {
  const response = await fetch(url, init);
  assert.ok(response.ok, `${url} answered ${response.status}`);
  return answer.parse(await response.json());
}

async function until<T>(
  what: string,
  timeoutMs: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) {
      tell(what);
      return found;
    }
    assert.ok(Date.now() < deadline, `In vain: ${what}`);
    await wait(200);
  }
}

function tell(text: string): void {
  process.stdout.write(`smoke on ${process.version}: ${text}\n`);
}

async function main(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'carillon-smoke-'));
  try {
    await smoke(path.join(folder, 'data'));
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
