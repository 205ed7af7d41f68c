import Table from 'cli-table3';
import type { BaselineRun } from './baseline';
import type { LedgerFigures } from './ledger';
import type { MixFacts } from './mix';
import type { WebhookBenchOptions } from './options';

/** One run: from the first post until the last event is applied. */
export interface IntakeRun {
  seconds: number;
  posts: number;
  /** Posts that had to be tried again. */
  refused: number;
  /** Events in the posts, doubles included. */
  posted: number;
  /** Different ones, each of which has to be applied once. */
  applied: number;
  expected: MixFacts;
  ledger: LedgerFigures;
  postP50Ms: number;
  postP99Ms: number;
  backlogPeak: number;
  /** CPU seconds. */
  cpu: { api: number; workers: number; postgres: number; temporal: number; senders: number };
}

/** Whether every event was stored once and the ledger shows what they told, in both ways to count. */
export function isExact(run: IntakeRun): boolean {
  const { ledger, expected } = run;
  return (
    ledger.stored === run.applied &&
    ledger.setAside === 0 &&
    factsOf(expected) === factsOf(ledger.counted) &&
    factsOf(expected) === factsOf(ledger.recounted)
  );
}

function factsOf(facts: MixFacts): string {
  return [
    facts.delivered,
    facts.bounced,
    facts.complained,
    facts.opened,
    facts.clicked,
    facts.unsubscribed,
  ].join(' ');
}

/** The table for people. */
export function renderTable(
  options: WebhookBenchOptions,
  run: IntakeRun,
  bare: BaselineRun,
): string {
  const table = new Table({
    head: ['', 'product', 'bare insert of the same rows'],
    style: { head: [], border: [] },
  });
  const microseconds = (seconds: number, events = run.posted) =>
    `${((seconds / events) * 1e6).toFixed(1)} µs an event`;
  table.push(
    ['events', run.applied, bare.rows],
    ['seconds', run.seconds.toFixed(1), (bare.rows / bare.rowsPerSecond).toFixed(1)],
    ['posts/s', (run.posts / run.seconds).toFixed(0), ''],
    ['events posted/s, doubles included', (run.posted / run.seconds).toFixed(0), ''],
    [
      'events stored/s',
      (run.ledger.stored / run.seconds).toFixed(0),
      bare.rowsPerSecond.toFixed(0),
    ],
    ['events applied/s', (run.applied / run.seconds).toFixed(0), ''],
    ['applied : bare insert', `${percent(run.applied / run.seconds / bare.rowsPerSecond)}`, ''],
    ['a post, ms: half of them within', run.postP50Ms.toFixed(1), ''],
    ['  99 % of them within', run.postP99Ms.toFixed(1), ''],
    ['most events waiting to be applied', run.backlogPeak, ''],
    ['posts tried again', run.refused, ''],
    ['CPU: API', microseconds(run.cpu.api), ''],
    [
      '  Postgres',
      microseconds(run.cpu.postgres),
      microseconds(bare.postgresCpuSeconds, bare.rows),
    ],
    ['  workers', microseconds(run.cpu.workers), ''],
    ['  Temporal', microseconds(run.cpu.temporal), ''],
    ['  senders (not the product)', microseconds(run.cpu.senders), ''],
    ['every event once, every fact counted', isExact(run) ? 'yes' : 'NO', ''],
  );
  const pace = options.rate === 0 ? 'as fast as answered' : `${options.rate} events/s`;
  return [
    table.toString(),
    `${options.messages} messages; posts of ${options.batch} signed events by ${options.senders} senders with ${options.connections} connections each, ${pace}`,
    `${options.apis} API and ${options.workers} worker processes; Postgres of its own; seconds count from the first post until the last event is applied`,
  ].join('\n');
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(0)} %`;
}
