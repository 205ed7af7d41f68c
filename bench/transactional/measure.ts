import { setTimeout as wait } from 'node:timers/promises';
import type { Knex } from '../../lib/db';
import { until } from '../../tests/support/conditions';

/** Where single messages are asked for, and where they arrive. */
export interface TransactionalTarget {
  apiUrl: string;
  /** Of a user who may send. */
  token: string;
  /** The ledger's database, which knows when each was accepted. */
  db: Knex;
  /** The stand-in that the tenant's messages go to, in inbox mode. */
  sandboxUrl: string;
}

/** One message, from the request to its arrival. */
export interface Sample {
  id: string;
  /** When the request left us, by this machine's clock. */
  askedAtMs: number;
  /** From when it was written into the ledger, before the commit, to its first bytes at the provider. */
  fromAcceptedMs: number;
  /** How much of that had passed at the gate. */
  toGateMs: number;
  /** The same from the request on. */
  fromRequestMs: number;
}

export interface TransactionalFigures {
  samples: Sample[];
  asked: number;
  /** Requests that were not answered 202. */
  refused: number;
  lost: number;
  doubled: number;
}

const arriveTimeoutMs = 60_000;

/**
 * Asks for so many messages a second, whether those before are answered or not, until the time is over
 * or the signal says so; then waits until all have arrived and answers how long each took.
 */
export async function measureTransactional(
  target: TransactionalTarget,
  options: { seconds: number; perSecond: number; signal?: AbortSignal },
): Promise<TransactionalFigures> {
  const { seconds, perSecond, signal } = options;
  const before = (await readArrivals(target.sandboxUrl)).size;
  const startedAtMs = Date.now();
  const requests: Promise<{ id: string | null; askedAtMs: number }>[] = [];
  for (let n = 0; n < seconds * perSecond && signal?.aborted !== true; n += 1) {
    await wait(Math.max(startedAtMs + (n * 1_000) / perSecond - Date.now(), 0));
    requests.push(ask(target, n));
  }
  const answers = await Promise.all(requests);
  const askedAt = new Map(
    answers.flatMap(({ id, askedAtMs }) => (id === null ? [] : [[id, askedAtMs] as const])),
  );
  const arrivals = await until(
    'all messages to arrive',
    async () => {
      const found = await readArrivals(target.sandboxUrl);
      return (found.size >= before + askedAt.size || isOver()) && found;
    },
    arriveTimeoutMs * 2,
  );
  const samples: Sample[] = [];
  let doubled = 0;
  for (const row of await readLedger(target.db, [...askedAt.keys()])) {
    const [first, ...others] = arrivals.get(keyOf(row)) ?? [];
    doubled += others.length;
    const askedAtMs = askedAt.get(row.id);
    if (first !== undefined && askedAtMs !== undefined) {
      samples.push({
        id: row.id,
        askedAtMs,
        fromAcceptedMs: first - row.createdAt.getTime(),
        toGateMs: row.calledAt.getTime() - row.createdAt.getTime(),
        fromRequestMs: first - askedAtMs,
      });
    }
  }
  return {
    samples,
    asked: answers.length,
    refused: answers.length - askedAt.size,
    lost: askedAt.size - samples.length,
    doubled,
  };

  function isOver(): boolean {
    return Date.now() > startedAtMs + seconds * 1_000 + arriveTimeoutMs;
  }
}

async function ask(
  { apiUrl, token }: TransactionalTarget,
  n: number,
): Promise<{ id: string | null; askedAtMs: number }> {
  const askedAtMs = Date.now();
  const response = await fetch(`${apiUrl}/api/v1/messages`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({
      channel: 'email',
      to: { email: `somebody-${n}@example.com` },
      from: { email: 'codes@shop.example' },
      content: {
        subject: 'Your code is {{ data.code }}',
        html: '<p>Your code is <b>{{ data.code }}</b>. It is good for ten minutes.</p>',
      },
      data: { code: 100_000 + n },
    }),
  });
  const text = await response.text();
  if (response.status !== 202) {
    return { id: null, askedAtMs };
  }
  const { data }: { data: { id: string } } = JSON.parse(text);
  return { id: data.id, askedAtMs };
}

interface LedgerRow {
  id: string;
  runId: string;
  n: number;
  createdAt: Date;
  calledAt: Date;
}

function readLedger(db: Knex, ids: string[]): Promise<LedgerRow[]> {
  return db('transactional_messages as t')
    .join('dispatches as d', { 'd.run_id': 't.run_id', 'd.n': 't.n' })
    .whereIn('t.id', ids)
    .whereNotNull('d.called_at')
    .select(
      't.id',
      't.run_id as runId',
      't.n',
      't.created_at as createdAt',
      'd.called_at as calledAt',
    );
}

/** When each message's calls arrived, by run and number. */
async function readArrivals(sandboxUrl: string): Promise<Map<string, number[]>> {
  const arrivals = new Map<string, number[]>();
  for (let from = 1; ; from += callsAPage) {
    const response = await fetch(`${sandboxUrl}/api/calls?from=${from}&limit=${callsAPage}`);
    const { items }: { items: { receivedAt: string; customArgs: Record<string, string> }[] } =
      JSON.parse(await response.text());
    // Whose body is still being read has no arguments yet.
    const read = items.filter(({ customArgs }) => customArgs['carillon_m'] !== undefined);
    for (const { receivedAt, customArgs } of read) {
      const key = `${customArgs['carillon_r']} ${customArgs['carillon_m']}`;
      arrivals.set(key, [...(arrivals.get(key) ?? []), Date.parse(receivedAt)]);
    }
    if (items.length < callsAPage) {
      return arrivals;
    }
  }
}

const callsAPage = 1_000;

function keyOf({ runId, n }: { runId: string; n: number }): string {
  return `${runId} ${n}`;
}

/** The value that a share of the values do not pass; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)] ?? Number.NaN;
}
