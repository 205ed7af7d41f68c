import { inspect } from 'node:util';
import { startGround, type BenchGround } from './campaign/ground';
import { measureSize, type SizeResult } from './campaign/measure';
import { readOptions, type BenchOptions } from './campaign/options';
import { measureOneByOne, type OneByOneResult } from './campaign/oneByOne';
import { areAllReceived, figuresOfOthers } from './campaign/otherFigures';
import { barsOf, figuresOf, isExact, renderTable } from './campaign/report';
import { measureBeside, type BesideCampaigns } from './transactional/beside';

/**
 * How fast a campaign leaves, beside the least that any sender must do, in the same run on the same
 * machine. Prints a table and, as its last line, the figures as JSON; fails when a message was lost
 * or doubled.
 */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const tell = (text: string) => process.stderr.write(`${text}\n`);
  tell('starting Postgres, Temporal and the sandbox, compiling the product');
  const ground = await startGround(options.profile);
  const sizes: SizeResult[] = [];
  let oneByOne: OneByOneResult[] = [];
  let transactional: BesideCampaigns | null = null;
  let about: string[] = [];
  try {
    about = await describe(ground, options);
    const largest = Math.max(...options.customers);
    for (const customers of options.customers) {
      const isPreRendered = customers === largest;
      sizes.push(await measureSize(ground, { ...options, isPreRendered }, customers, tell));
    }
    if (options['one-by-one'] > 0) {
      const { workers, wires, profile } = options;
      const messages = options['one-by-one'];
      const rounds = options['one-by-one-rounds'];
      oneByOne = await measureOneByOne(ground, { messages, workers, rounds, wires, profile }, tell);
    }
    if (options.transactional > 0) {
      transactional = await measureBeside(ground, {
        customers: largest,
        workers: options.workers,
        perSecond: options.transactional,
        // A campaign is over in seconds, and one or two hundred messages beside it.
        rounds: 8,
        tell,
      });
    }
  } finally {
    await ground.stop();
  }
  const largest = sizes.toSorted((a, b) => b.customers - a.customers)[0];
  if (largest === undefined) {
    throw new RangeError('no size was measured');
  }
  const others = { oneByOne, transactional };
  process.stdout.write(`${renderTable(sizes, barsOf(sizes, others), about)}\n`);
  process.stdout.write(
    `${JSON.stringify({ ...figuresOf(largest), ...figuresOfOthers(others), sizes: sizes.map(figuresOf) })}\n`,
  );
  process.exitCode = sizes.every(isExact) && oneByOne.every(areAllReceived) ? 0 : 1;
}

async function describe(ground: BenchGround, options: BenchOptions): Promise<string[]> {
  const shown = await ground.db.raw(
    `select string_agg(name || ' ' || current_setting(name), ', ' order by name) as settings
       from pg_settings where name in ('max_connections', 'shared_buffers', 'fsync',
         'synchronous_commit', 'max_wal_size')`,
  );
  return [
    `${options.workers} worker processes, as many of the bare loop; ${options.rounds} rounds in turn, one by one ${options['one-by-one-rounds']}; Node ${process.versions.node}`,
    `Postgres of its own on fresh data: ${shown.rows[0].settings}`,
    'Temporal of its own on a file. The plan is the real one of a local hour; its instants are moved to one, seconds ahead.',
    'A ratio is the median of those of the rounds, product and bare loop in turn: not that of the two medians shown.',
    'One by one, product and bare loop run by turns of three seconds, the other one stopped, until each has sent all.',
    'Messages a second count from the first call the sandbox sees to the last; planning is before that.',
    'The bare loop claims, selects, posts the bytes the product sent and settles: no workflow, gate, rendering.',
  ];
}

main().catch((error: unknown) => {
  // With its causes: what a client throws often only says that something failed.
  process.stderr.write(`${inspect(error)}\n`);
  process.exit(1);
});
