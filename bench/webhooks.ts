import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { createWebhookKeys } from '../sandbox/sendgrid/eventPost';
import { freePort } from '../workers/launch/ports';
import { testNamespace } from '../tests/support/temporal';
import { ensureBenchAccount } from './campaign/account';
import {
  publicUrl,
  sealingKeys,
  startGround,
  startProcess,
  trackingSecret,
  type BenchGround,
  type BenchProcess,
} from './campaign/ground';
import { cpuSeconds } from './campaign/processes';
import { countStatements, writeStatements } from './campaign/statements';
import { insertBare } from './webhooks/baseline';
import { countWaiting, readLedger, writeSentLedger, type SentLedger } from './webhooks/ledger';
import { readOptions, type WebhookBenchOptions } from './webhooks/options';
import { isExact, renderTable, type IntakeRun } from './webhooks/report';
import type { SenderDone, SenderOrder, SenderReady } from './webhooks/sender';

/**
 * How many provider events a second become facts on the ledger: signed posts to the real API, real
 * workers applying. Prints a table and, as its last line, the figures as JSON; fails when an event
 * was lost or counted twice.
 */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const tell = (text: string) => process.stderr.write(`${text}\n`);
  tell('starting Postgres, Temporal and the workers, compiling the product');
  const ground = await startGround(options.profile, { worker: 'workers/main.js' });
  const started: BenchProcess[] = [];
  try {
    tell(`writing a ledger of ${options.messages} messages that were sent`);
    await ensureBenchAccount(ground.db, ground.sandboxUrl);
    const ledger = await writeSentLedger(ground.db, options.messages);
    const keys = createWebhookKeys();
    const apis = await startApis(ground, options, keys.publicKeyBase64);
    started.push(...apis.processes);
    const workers = await ground.startWorkers(options.workers);
    started.push(...workers);
    tell('signing the posts');
    const senders = await startSenders(ground, options, {
      ledger,
      urls: apis.urls,
      privateKeyPem: keys.privateKeyPem,
    });
    started.push(...senders.processes);
    if (options.profile !== undefined) {
      await countStatements(ground);
    }
    tell(`posting ${senders.events} events`);
    const run = await measure(ground, { ledger, apis: apis.processes, workers, senders });
    if (options.profile !== undefined) {
      await writeStatements(ground, options.profile);
    }
    tell('the bare insert of the same rows');
    const bare = await insertBare(ground.db, {
      runId: ledger.runId,
      rows: options.baseline,
      batch: options.batch,
      postgresPid: ground.postgres.pid,
    });
    process.stdout.write(`${renderTable(options, run, bare)}\n`);
    process.stdout.write(
      `${JSON.stringify({
        eventsPerSecond: Math.round(run.applied / run.seconds),
        events: run.applied,
        seconds: Number(run.seconds.toFixed(1)),
        postP99Ms: Number(run.postP99Ms.toFixed(1)),
        bareInsertPerSecond: Math.round(bare.rowsPerSecond),
        isExact: isExact(run),
      })}\n`,
    );
    process.exitCode = isExact(run) ? 0 : 1;
  } finally {
    await Promise.all(started.map((each) => each.stop()));
    await ground.stop();
  }
}

async function startApis(ground: BenchGround, options: WebhookBenchOptions, publicKey: string) {
  const processes: BenchProcess[] = [];
  const urls: string[] = [];
  for (let index = 0; index < options.apis; index += 1) {
    const port = await freePort();
    const profiled =
      options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
    processes.push(
      await startProcess(
        [...profiled, path.join(ground.dist, 'api/server.js')],
        {
          LOG_LEVEL: 'warn',
          DATABASE_URL: ground.appUrl,
          TEMPORAL_ADDRESS: ground.temporalServer.address,
          TEMPORAL_NAMESPACE: testNamespace,
          PUBLIC_URL: publicUrl,
          TRACKING_SECRET: trackingSecret,
          SEALING_KEYS: sealingKeys,
          SENDGRID_WEBHOOK_PUBLIC_KEY: publicKey,
          API_PORT: String(port),
          SUPERVISOR_PID: String(process.pid),
        },
        `http://127.0.0.1:${port}/health`,
      ),
    );
    urls.push(`http://127.0.0.1:${port}/webhooks/sendgrid`);
  }
  return { processes, urls };
}

interface Senders {
  processes: BenchProcess[];
  ready: SenderReady[];
  events: number;
}

async function startSenders(
  ground: BenchGround,
  options: WebhookBenchOptions,
  target: { ledger: SentLedger; urls: string[]; privateKeyPem: string },
): Promise<Senders> {
  const started = await Promise.all(
    Array.from({ length: options.senders }, async (_, share) => {
      const order: SenderOrder = {
        ...target.ledger,
        share,
        of: options.senders,
        seed: 'events',
        urls: target.urls,
        privateKeyPem: target.privateKeyPem,
        batch: options.batch,
        connections: options.connections,
        rate: options.rate / options.senders,
      };
      const file = path.join(ground.folder, `sender-${share}.json`);
      writeFileSync(file, JSON.stringify(order), { mode: 0o600 });
      const sender = await startProcess(
        [path.join(ground.dist, 'bench/webhooks/sender.js'), file],
        {},
        null,
      );
      const [ready]: SenderReady[] = await once(sender.child, 'message');
      if (ready === undefined) {
        throw new Error('A sender said nothing');
      }
      return { sender, ready };
    }),
  );
  return {
    processes: started.map(({ sender }) => sender),
    ready: started.map(({ ready }) => ready),
    events: started.reduce((sum, { ready }) => sum + ready.events, 0),
  };
}

interface Measured {
  ledger: SentLedger;
  apis: BenchProcess[];
  workers: BenchProcess[];
  senders: Senders;
}

async function measure(ground: BenchGround, parts: Measured): Promise<IntakeRun> {
  const cpuNow = () => ({
    api: cpuSeconds(parts.apis.map(({ pid }) => pid)),
    workers: cpuSeconds(parts.workers.map(({ pid }) => pid)),
    postgres: cpuSeconds([ground.postgres.pid]),
    temporal: cpuSeconds([ground.temporalServer.pid]),
    senders: cpuSeconds(parts.senders.processes.map(({ pid }) => pid)),
  });
  const before = cpuNow();
  const startedAt = performance.now();
  const answers = parts.senders.processes.map(async ({ child }) => {
    const answered = once(child, 'message');
    child.send('go');
    const [done]: SenderDone[] = await answered;
    if (done === undefined) {
      throw new Error('A sender ended without a word');
    }
    return done;
  });
  let isSending = true;
  const sent = Promise.all(answers).finally(() => {
    isSending = false;
  });
  const backlog: number[] = [];
  for (;;) {
    const wasSending = isSending;
    const waiting = await countWaiting(ground.db);
    backlog.push(waiting);
    if (!wasSending && waiting === 0) {
      break;
    }
    await wait(wasSending ? 250 : 20);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const done = await sent;
  const after = cpuNow();
  const latencies = done.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b);
  const expected = parts.senders.ready;
  const total = (pick: (ready: SenderReady) => number) =>
    expected.reduce((sum, ready) => sum + pick(ready), 0);
  return {
    seconds,
    posts: done.reduce((sum, each) => sum + each.posts, 0),
    refused: done.reduce((sum, each) => sum + each.refused, 0),
    posted: parts.senders.events,
    applied: total((ready) => ready.distinct),
    expected: {
      delivered: total(({ facts }) => facts.delivered),
      bounced: total(({ facts }) => facts.bounced),
      complained: total(({ facts }) => facts.complained),
      opened: total(({ facts }) => facts.opened),
      clicked: total(({ facts }) => facts.clicked),
      unsubscribed: total(({ facts }) => facts.unsubscribed),
    },
    ledger: await readLedger(ground.db, parts.ledger.runId),
    postP50Ms: latencies[Math.floor(latencies.length * 0.5)] ?? 0,
    postP99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    backlogPeak: Math.max(...backlog),
    cpu: {
      api: after.api - before.api,
      workers: after.workers - before.workers,
      postgres: after.postgres - before.postgres,
      temporal: after.temporal - before.temporal,
      senders: after.senders - before.senders,
    },
  };
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
