import { createTenant } from '../campaign/customers';
import type { BenchGround, BenchProcess } from '../campaign/ground';
import { runProduct, type ProductRun } from '../campaign/product';
import {
  measureTransactional,
  percentile,
  type Sample,
  type TransactionalFigures,
  type TransactionalTarget,
} from './measure';
import { watchDisk } from './disk';
import { bulkQueues, startTransactionalTarget } from './target';

/** Single messages beside campaigns, in a few figures. */
export interface BesideCampaigns {
  /** Of the messages of all rounds. */
  p99Ms: number;
  p99OfRounds: number[];
  /** The longest that a bare write to the same disk took meanwhile. */
  diskMsOfRounds: number[];
  samples: number;
  bulkPerSecond: number;
  /** Whether each was taken and arrived, once. */
  isExact: boolean;
}

export interface BesideOptions {
  customers: number;
  workers: number;
  perSecond: number;
  rounds: number;
  tell: (text: string) => void;
}

/** Starts the lane of single messages and bulk workers, and measures the one beside the other. */
export async function measureBeside(
  ground: BenchGround,
  options: BesideOptions,
): Promise<BesideCampaigns> {
  const [target, workers] = await Promise.all([
    startTransactionalTarget(ground),
    ground.startWorkers(options.workers, [bulkQueues]),
  ]);
  try {
    await measureTransactional(target, { seconds: 5, perSecond: options.perSecond });
    const { figures, campaigns, beside, p99OfRounds, diskMsOfRounds } = await besideCampaigns(
      ground,
      {
        ...options,
        target,
        workers,
      },
    );
    return {
      p99Ms: percentile(
        beside.map(({ fromAcceptedMs }) => fromAcceptedMs),
        0.99,
      ),
      p99OfRounds,
      diskMsOfRounds,
      samples: beside.length,
      bulkPerSecond: Math.round(Math.min(...campaigns.map((each) => each.messagesPerSecond))),
      isExact: figures.lost + figures.doubled + figures.refused === 0,
    };
  } finally {
    await Promise.all([target.stop(), ...workers.map((each) => each.stop())]);
  }
}

export interface Busy {
  figures: TransactionalFigures;
  campaigns: ProductRun[];
  /** Those that were asked for while calls of a campaign arrived. */
  beside: Sample[];
  p99OfRounds: number[];
  diskMsOfRounds: number[];
}

/** Asks for single messages while campaigns leave one after the other. */
export async function besideCampaigns(
  ground: BenchGround,
  options: Omit<BesideOptions, 'workers'> & {
    target: TransactionalTarget;
    workers: BenchProcess[];
  },
): Promise<Busy> {
  const { customers, perSecond, rounds, target, workers, tell } = options;
  tell(`${customers} customers: writing them`);
  const tenant = await createTenant(ground.db, customers);
  await runProduct(ground, tenant, workers);
  const campaigns: ProductRun[] = [];
  const figures: TransactionalFigures = { samples: [], asked: 0, refused: 0, lost: 0, doubled: 0 };
  const beside: Sample[] = [];
  const p99OfRounds: number[] = [];
  const diskMsOfRounds: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const ended = new AbortController();
    const measuring = measureTransactional(target, {
      seconds: 600,
      perSecond,
      signal: ended.signal,
    });
    const disk = await watchDisk(ground.folder);
    const campaign = await runProduct(ground, tenant, workers).finally(() => ended.abort());
    const writes = await disk.end();
    const window = await sendingWindow(ground);
    const measured = await measuring;
    campaigns.push(campaign);
    figures.samples.push(...measured.samples);
    figures.asked += measured.asked;
    figures.refused += measured.refused;
    figures.lost += measured.lost;
    figures.doubled += measured.doubled;
    const isBeside = (atMs: number) => atMs >= window.fromMs && atMs <= window.toMs;
    const during = measured.samples.filter(({ askedAtMs }) => isBeside(askedAtMs));
    beside.push(...during);
    const p99Ms = percentile(
      during.map(({ fromAcceptedMs }) => fromAcceptedMs),
      0.99,
    );
    p99OfRounds.push(p99Ms);
    const diskMs = percentile(
      writes.filter(({ atMs }) => isBeside(atMs)).map(({ tookMs }) => tookMs),
      1,
    );
    diskMsOfRounds.push(diskMs);
    tell(
      `round ${round}: campaign ${Math.round(campaign.messagesPerSecond)}/s, ` +
        `${during.length} single messages beside it, p99 ${p99Ms} ms; longest bare write to disk ${diskMs} ms`,
    );
  }
  return { figures, campaigns, beside, p99OfRounds, diskMsOfRounds };
}

/** From the first call of the newest campaign to its last one. */
async function sendingWindow({ db }: BenchGround): Promise<{ fromMs: number; toMs: number }> {
  const found = await db.raw(
    `select min(a.called_at) as first, max(a.settled_at) as last
       from dispatch_attempts a
      where a.run_id = (select id from campaign_runs where kind = 'campaign'
                         order by created_at desc limit 1)`,
  );
  const row: { first: Date; last: Date } = found.rows[0];
  return { fromMs: row.first.getTime(), toMs: row.last.getTime() };
}
