import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { z } from 'zod';
import { startGround } from './campaign/ground';
import { besideCampaigns, type Busy } from './transactional/beside';
import {
  measureTransactional,
  percentile,
  type Sample,
  type TransactionalFigures,
} from './transactional/measure';
import { bulkQueues, startTransactionalTarget } from './transactional/target';

const mostMs = 300;

const count = z.coerce.number().int().min(1);
const Flags = z.object({
  customers: count.default(400_000),
  workers: count.default(3),
  'per-second': count.default(50),
  rounds: count.default(8),
});
type Options = z.infer<typeof Flags>;

/**
 * How long a message that is asked for by itself takes to the provider, on a quiet machine and while a
 * campaign leaves at full speed. Prints a table and, as its last line, the figures as JSON; fails when
 * one was lost or doubled, or too many were too slow.
 */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const tell = (text: string) => process.stderr.write(`${text}\n`);
  tell('starting Postgres, Temporal and the stand-ins, compiling the product');
  const ground = await startGround(undefined);
  try {
    const [target, workers] = await Promise.all([
      startTransactionalTarget(ground),
      ground.startWorkers(options.workers, [bulkQueues]),
    ]);
    try {
      tell('a quiet machine');
      // The first ones warm the processes up and do not count.
      await measureTransactional(target, { seconds: 5, perSecond: options['per-second'] });
      const quiet = await measureTransactional(target, {
        seconds: 10,
        perSecond: options['per-second'],
      });
      const busy = await besideCampaigns(ground, {
        customers: options.customers,
        workers,
        perSecond: options['per-second'],
        rounds: options.rounds,
        target,
        tell,
      });
      report(quiet, busy, options);
    } finally {
      await Promise.all([target.stop(), ...workers.map((each) => each.stop())]);
    }
  } finally {
    await ground.stop();
  }
}

function report(quiet: TransactionalFigures, busy: Busy, options: Options): void {
  const bulkPerSecond = busy.campaigns.map((each) => each.messagesPerSecond);
  const rows = [
    { name: 'quiet', samples: quiet.samples },
    { name: 'beside a campaign', samples: busy.beside },
  ];
  const table = new Table({
    head: [
      '',
      'messages',
      'p50 ms',
      'p99 ms',
      'most ms',
      'p99 ms to the gate',
      'p99 ms from the request on',
    ],
    style: { head: [], border: [] },
  });
  table.push(
    ...rows.map(({ name, samples }) => [
      name,
      String(samples.length),
      String(percentile(accepted(samples), 0.5)),
      String(percentile(accepted(samples), 0.99)),
      String(percentile(accepted(samples), 1)),
      String(
        percentile(
          samples.map(({ toGateMs }) => toGateMs),
          0.99,
        ),
      ),
      String(percentile(asked(samples), 0.99)),
    ]),
  );
  const lost = quiet.lost + busy.figures.lost;
  const doubled = quiet.doubled + busy.figures.doubled;
  const refused = quiet.refused + busy.figures.refused;
  const figures = {
    transactionalP50Ms: percentile(accepted(busy.beside), 0.5),
    transactionalP99Ms: percentile(accepted(busy.beside), 0.99),
    p99OfRounds: busy.p99OfRounds,
    diskMsOfRounds: busy.diskMsOfRounds,
    transactionalP99FromRequestMs: percentile(asked(busy.beside), 0.99),
    quietP99Ms: percentile(accepted(quiet.samples), 0.99),
    perSecond: options['per-second'],
    samples: busy.beside.length,
    bulkPerSecond: Math.round(Math.min(...bulkPerSecond)),
    lost,
    doubled,
    refused,
  };
  process.stdout.write(
    `${table.toString()}\n` +
      `From the ledger's row, before its commit, to the first bytes at the provider; ${options['per-second']} a second.\n` +
      `Campaigns beside them: ${bulkPerSecond.map((each) => Math.round(each)).join(', ')} messages/s by ${options.workers} worker processes.\n` +
      `${JSON.stringify(figures)}\n`,
  );
  process.exitCode = lost + doubled + refused === 0 && figures.transactionalP99Ms < mostMs ? 0 : 1;
}

function accepted(samples: readonly Sample[]): number[] {
  return samples.map(({ fromAcceptedMs }) => fromAcceptedMs);
}

function asked(samples: readonly Sample[]): number[] {
  return samples.map(({ fromRequestMs }) => fromRequestMs);
}

function readOptions(args: string[]): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: { customers: text, workers: text, 'per-second': text, rounds: text },
  });
  return Flags.parse(values);
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
