import Table from 'cli-table3';
import type { Overhead, Spread } from './messages';
import { counted } from './facts';
import type { OverHttp } from './overHttp';
import type { Ran } from './runScenario';
import { answerMs } from './vendor';

/** What is measured of one process, beside the scenarios. */
export interface Singles {
  choose: Spread;
  /** From a key's change to this process knowing it. In milliseconds. */
  news: Spread;
  overhead: Overhead;
  firstToken: Overhead;
  overHttp: OverHttp;
  throughput: {
    name: string;
    perSecond: number;
    failed: readonly string[];
    rssMb: number;
  }[];
}

export const bars = {
  chooseKeyP99Us: 50,
  ringLagP95Ms: 50,
  overheadP95Ms: 3,
  firstTokenOverheadP95Ms: 3,
  requestsPerSecond: 1_000,
};

/** Prints the tables and the figures; answers whether every bar is kept. */
export function report(ran: readonly Ran[], singles: Singles | null): boolean {
  const table = new Table({
    head: ['scenario', 'LiteLLM best', 'to show', 'reached', 'most calls', 'held up', ''],
    style: { head: [], border: [] },
    wordWrap: true,
    colWidths: [28, 22, 20, 46, 14, 9, 24],
  });
  for (const { scenario, facts, verdict, heldUpMs } of ran) {
    table.push([
      scenario.title,
      scenario.liteLlm,
      scenario.toShow,
      verdict.reached,
      `${facts.mostOfRequest} a request, ${facts.mostOfKey} a key`,
      `${heldUpMs} ms`,
      verdict.problems.length === 0 ? 'kept' : `MISSED: ${verdict.problems.join('; ')}`,
    ]);
  }
  if (ran.length > 0) {
    process.stdout.write(`${table.toString()}\n`);
  }
  const figures = {
    requests: sum(ran, ({ facts }) => facts.requests),
    userErrors: sum(ran, ({ verdict }) => verdict.userErrors),
    wastedCalls: sum(ran, ({ verdict }) => verdict.wasted),
    ...(singles ? figuresOf(singles) : {}),
    scenarios: Object.fromEntries(
      ran.map(({ scenario, facts, verdict, heldUpMs }) => [
        scenario.name,
        {
          requests: facts.requests,
          userErrors: verdict.userErrors,
          failed: facts.failed.length,
          calls: facts.calls.length,
          wasted: verdict.wasted,
          mostOfRequest: facts.mostOfRequest,
          mostOfKey: facts.mostOfKey,
          probes: facts.probes.length,
          heldUpMs,
          isKept: verdict.problems.length === 0,
        },
      ]),
    ),
  };
  const missed = singles ? reportSingles(singles) : [];
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  return missed.length === 0 && ran.every(({ verdict }) => verdict.problems.length === 0);
}

function figuresOf({ choose, news, overhead, firstToken, throughput, overHttp }: Singles) {
  return {
    chooseKeyP99Us: round(choose.p99),
    ringLagP95Ms: round(news.p95),
    overheadP95Ms: round(added(overhead).p95),
    firstTokenOverheadP95Ms: round(added(firstToken).p95),
    requestsPerSecondOverHttp: overHttp.perSecond,
    requestsPerSecond: Math.min(...throughput.map(({ perSecond }) => perSecond)),
  };
}

function reportSingles(singles: Singles): string[] {
  const { choose, news, overhead, firstToken, throughput, overHttp } = singles;
  const figures = figuresOf(singles);
  const table = new Table({
    head: ['', 'LiteLLM', 'to show', 'reached'],
    style: { head: [], border: [] },
  });
  table.push(
    [
      'choosing a key, p50 / p99',
      '99 / 173 µs',
      'p99 < 50 µs',
      `${round(choose.p50)} / ${round(choose.p99)} µs`,
    ],
    [
      'a change of a key is known, p50 / p95',
      '',
      '≤ 50 ms',
      `${round(news.p50)} / ${round(news.p95)} ms`,
    ],
    ['added to a call, p50 / p95', '+19 ms', '≤ 3 ms', addedText(overhead)],
    ['added to the first token, p50 / p95', '+19 ms', '≤ 3 ms', addedText(firstToken)],
    ...throughput.map(({ name, perSecond, failed, rssMb }) => [
      name,
      '64–68/s, 317–410 MB',
      '≥ 1,000/s',
      `${perSecond}/s, ${rssMb} MB${failed.length === 0 ? '' : `, ${counted(failed)}`}`,
    ]),
  );
  const { parallel, perSecond, failed, tookMs } = overHttp;
  table.push([
    `POST /llm/chat of one API process, ${parallel} at once, answers in ${answerMs} ms`,
    '',
    'beside it',
    `${perSecond}/s, p50 / p95 ${round(tookMs.p50)} / ${round(tookMs.p95)} ms${failed === 0 ? '' : `, ${failed} failed`}`,
  ]);
  process.stdout.write(`${table.toString()}\n`);
  return [
    ...(figures.chooseKeyP99Us < bars.chooseKeyP99Us ? [] : ['chooseKeyP99Us']),
    ...(figures.ringLagP95Ms <= bars.ringLagP95Ms ? [] : ['ringLagP95Ms']),
    ...(figures.overheadP95Ms <= bars.overheadP95Ms ? [] : ['overheadP95Ms']),
    ...(figures.firstTokenOverheadP95Ms <= bars.firstTokenOverheadP95Ms
      ? []
      : ['firstTokenOverheadP95Ms']),
    ...(figures.requestsPerSecond >= bars.requestsPerSecond ? [] : ['requestsPerSecond']),
    ...(failed === 0 ? [] : ['failedOverHttp']),
    ...(throughput.every(({ failed }) => failed.length === 0) ? [] : ['failed']),
  ];
}

/** What the gateway adds: its spread less that of the calls it was measured beside. */
export function added({ direct, gateway }: Overhead): Spread {
  return {
    p50: gateway.p50 - direct.p50,
    p95: gateway.p95 - direct.p95,
    p99: gateway.p99 - direct.p99,
  };
}

function addedText(overhead: Overhead): string {
  const { p50, p95 } = added(overhead);
  const { direct, paired } = overhead;
  return `+${round(p50)} / +${round(p95)} ms to ${round(direct.p50)} / ${round(direct.p95)} ms (each over the one beside it: p95 ${round(paired.p95)} ms)`;
}

function sum<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((total, item) => total + of(item), 0);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
