import Table from 'cli-table3';
import type { SizeResult } from './measure';
import { barsOfOthers, type OtherResults } from './otherFigures';
import { median, rounded } from './numbers';
import type { ProductRun } from './product';

/** One size, reduced to medians. */
export interface SizeFigures {
  messages: number;
  waves: number;
  messagesPerSecond: number;
  bareLoopPerSecond: number;
  ratio: number;
  preRenderedRatio: number | null;
  historyEvents: number;
  /** Of all rounds. */
  workerPeakMiB: number;
  /**
   * The peak of a round: by when garbage is collected it is a fifth higher or lower, so that of more
   * rounds the highest is higher.
   */
  medianPeakMiB: number;
  planningSeconds: number;
  databaseBytesPerMessage: number;
}

export interface Bar {
  name: string;
  found: string;
  /** Null for what is only told. */
  isMet: boolean | null;
}

const leastRatio = 0.4;
const leastPreRenderedRatio = 0.65;
const mostMiB = 600;
const mostGrowth = 1.1;

export function figuresOf(size: SizeResult): SizeFigures {
  const products = size.rounds.map((round) => round.product);
  const messagesPerSecond = median(products.map((run) => run.messagesPerSecond));
  const bareLoopPerSecond = median(size.rounds.map((round) => round.bare.messagesPerSecond));
  return {
    messages: size.customers,
    waves: Math.max(...products.map((run) => run.waves)),
    messagesPerSecond: Math.round(messagesPerSecond),
    bareLoopPerSecond: Math.round(bareLoopPerSecond),
    ratio: ratioOf(size.rounds),
    preRenderedRatio: size.preRendered.length === 0 ? null : ratioOf(size.preRendered),
    historyEvents: Math.max(...products.map((run) => run.historyEvents)),
    workerPeakMiB: rounded(Math.max(...products.map((run) => run.workerPeakMiB)), 1),
    medianPeakMiB: rounded(median(products.map((run) => run.workerPeakMiB)), 1),
    planningSeconds: rounded(median(products.map((run) => run.planningSeconds)), 2),
    databaseBytesPerMessage: Math.round(median(products.map((run) => run.databaseBytesPerMessage))),
  };
}

// Of each pair of turns: the machine's speed changes more between rounds than within one.
function ratioOf(rounds: SizeResult['rounds']): number {
  return rounded(
    median(rounds.map(({ product, bare }) => product.messagesPerSecond / bare.messagesPerSecond)),
    3,
  );
}

/** Whether every message of every run arrived, once. */
export function isExact(size: SizeResult): boolean {
  return [...size.rounds, ...size.preRendered].every(
    ({ product }) =>
      product.planned === size.customers &&
      product.accepted === size.customers &&
      product.received === size.customers,
  );
}

export function barsOf(sizes: SizeResult[], others: OtherResults): Bar[] {
  const figures = sizes.map(figuresOf);
  const bars = figures.flatMap((size): Bar[] => {
    const mostEvents = 200 + 60 * size.waves + 0.001 * size.messages;
    return [
      {
        name: `${size.messages}: at least ${leastRatio * 100} % of the bare loop`,
        found: `${rounded(size.ratio * 100, 1)} %`,
        isMet: size.ratio >= leastRatio,
      },
      ...(size.preRenderedRatio === null
        ? []
        : [
            {
              name: `${size.messages}: bodies rendered before, at least ${leastPreRenderedRatio * 100} %`,
              found: `${rounded(size.preRenderedRatio * 100, 1)} %`,
              isMet: size.preRenderedRatio >= leastPreRenderedRatio,
            },
          ]),
      {
        name: `${size.messages}: at most ${mostEvents} history events`,
        found: String(size.historyEvents),
        isMet: size.historyEvents <= mostEvents,
      },
      {
        name: `${size.messages}: a worker at most ${mostMiB} MiB`,
        found: `${size.workerPeakMiB} MiB`,
        isMet: size.workerPeakMiB <= mostMiB,
      },
    ];
  });
  const peaks = figures.map((size) => size.medianPeakMiB);
  const growth = Math.max(...peaks) / Math.min(...peaks);
  return [
    {
      name: 'every message of every run received once, as planned and as in the ledger',
      found: sizes.every(isExact) ? 'yes' : 'NO',
      isMet: sizes.every(isExact),
    },
    ...bars,
    ...barsOfOthers(others),
    ...(peaks.length < 2
      ? []
      : [
          {
            name: 'peak memory of a round within 10 % over the sizes',
            found: `${rounded((growth - 1) * 100, 1)} %, ${peaks.join(' and ')} MiB`,
            isMet: growth <= mostGrowth,
          },
        ]),
  ];
}

/** The table for people. */
export function renderTable(sizes: SizeResult[], bars: Bar[], about: string[]): string {
  const table = new Table({ head: ['', ...sizes.map((size) => `${size.customers}`)], style });
  const row = (name: string, cell: (size: SizeResult, figures: SizeFigures) => string) =>
    table.push([name, ...sizes.map((size) => cell(size, figuresOf(size)))]);
  row('product, messages/s (median)', (_, each) => `${each.messagesPerSecond}`);
  row('  each round', ({ rounds }) =>
    rounds.map(({ product }) => Math.round(product.messagesPerSecond)).join(' '),
  );
  row('bare loop, messages/s (median)', (_, each) => `${each.bareLoopPerSecond}`);
  row('  each round', ({ rounds }) =>
    rounds.map(({ bare }) => Math.round(bare.messagesPerSecond)).join(' '),
  );
  row('product : bare loop', (_, each) => `${rounded(each.ratio * 100, 1)} %`);
  row('  with bodies rendered before', (_, each) =>
    each.preRenderedRatio === null ? '' : `${rounded(each.preRenderedRatio * 100, 1)} %`,
  );
  row('waves', (_, each) => `${each.waves}`);
  row('calls', ({ rounds }) => `${last(rounds).calls}`);
  row('history events', (_, each) => `${each.historyEvents}`);
  row('peak memory of a worker, MiB (median)', (_, each) => `${each.medianPeakMiB}`);
  row('  each round', ({ rounds }) =>
    rounds.map(({ product }) => Math.round(product.workerPeakMiB)).join(' '),
  );
  row('schedule to sealed plan, s', (_, each) => `${each.planningSeconds}`);
  row('Postgres, bytes a message', (_, each) => `${each.databaseBytesPerMessage}`);
  row('body, bytes a message', ({ bodyBytesPerMessage }) => `${Math.round(bodyBytesPerMessage)}`);
  row('CPU of a run, s: workers', ({ rounds }) => last(rounds).cpu.workers.toFixed(1));
  row('  Postgres', ({ rounds }) => last(rounds).cpu.postgres.toFixed(1));
  row('  Temporal', ({ rounds }) => last(rounds).cpu.temporal.toFixed(1));
  row('  sandbox', ({ rounds }) => last(rounds).cpu.sandbox.toFixed(1));
  const verdicts = new Table({ head: ['bar', 'found', ''], style });
  verdicts.push(...bars.map((bar) => [bar.name, bar.found, wordOf(bar)]));
  return `${table.toString()}\n${about.join('\n')}\n${verdicts.toString()}`;
}

function wordOf({ isMet }: Bar): string {
  return isMet === null ? 'no bar' : isMet ? 'met' : 'NOT MET';
}

const style = { head: [], border: [] };

function last(rounds: SizeResult['rounds']): ProductRun {
  const round = rounds.at(-1);
  if (round === undefined) {
    throw new RangeError('no round was run');
  }
  return round.product;
}
