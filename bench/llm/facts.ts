import type { OpenRouterCall } from '../../sandbox';
import type { Outcome } from './messages';

/** What was seen of one scenario, by whoever asked and by the vendor. */
export interface Facts {
  requests: number;
  /** Requests that did not get their answer. */
  failed: readonly Outcome[];
  outcomes: readonly Outcome[];
  /** Calls of requests. */
  calls: readonly OpenRouterCall[];
  /** Calls that got no answer: refused, broken off, left hanging. */
  wasted: readonly OpenRouterCall[];
  /** Of them: begun before their process had an answer that said so; not the first, which told it. */
  onTheWay: readonly OpenRouterCall[];
  /** Calls to models that no request made. */
  probes: readonly OpenRouterCall[];
  mostOfRequest: number;
  /** The most calls of one request with one key. */
  mostOfKey: number;
  slowestMs: number;
  /** How keys stand afterwards in the first process: their states, counted. */
  states: Readonly<Record<string, number>>;
}

/** Puts together what both sides saw. */
export function factsOf(
  outcomes: readonly Outcome[],
  all: readonly OpenRouterCall[],
  states: Readonly<Record<string, number>>,
): Facts {
  const asked = all.filter(({ path }) => path === 'chat');
  const calls = asked.filter(({ session }) => session !== null);
  const ofRequest = new Map<string, number>();
  const ofKey = new Map<string, number>();
  for (const { session, key } of calls) {
    count(ofRequest, session ?? '');
    count(ofKey, `${session}/${key}`);
  }
  const wasted = calls.filter(isWasted);
  return {
    requests: outcomes.length,
    failed: outcomes.filter(({ isAnswered }) => !isAnswered),
    outcomes,
    calls,
    wasted,
    onTheWay: onTheWayOf(wasted),
    probes: asked.filter(({ session }) => session === null),
    mostOfRequest: Math.max(0, ...ofRequest.values()),
    mostOfKey: Math.max(0, ...ofKey.values()),
    slowestMs: Math.max(0, ...outcomes.map(({ startedAt, endedAt }) => endedAt - startedAt)),
    states,
  };
}

/** The errors that callers were told, with how often. */
export function errorsOf(outcomes: readonly Outcome[]): string {
  return counted(outcomes.map(({ error }) => error ?? 'none'));
}

export function counted(names: readonly string[]): string {
  const counts = new Map<string, number>();
  names.forEach((name) => count(counts, name));
  return [...counts].map(([name, times]) => `${times}x ${name}`).join(', ');
}

// The vendor has written an answer a moment before it is read.
const READ_MS = 5;

function onTheWayOf(wasted: readonly OpenRouterCall[]): OpenRouterCall[] {
  const known = new Map<string, { n: number; at: number }>();
  for (const { n, endedAt, ...call } of wasted) {
    const at = (endedAt ?? Infinity) + READ_MS;
    const before = known.get(eventOf(call));
    if (!before || at < before.at) {
      known.set(eventOf(call), { n, at });
    }
  }
  return wasted.filter((call) => {
    const first = known.get(eventOf(call));
    return first !== undefined && call.n !== first.n && call.at <= first.at;
  });
}

// Whose end it is, for each process: an account's, or one key's.
function eventOf({
  session,
  account,
  key,
  fault,
  status,
}: Pick<OpenRouterCall, 'session' | 'account' | 'key' | 'fault' | 'status'>): string {
  const isOfAccount = fault === 'platformRateLimit' || (status === 402 && fault === null);
  const asker = session?.slice(0, session.lastIndexOf('-'));
  return `${asker}/${isOfAccount ? account : key}`;
}

function isWasted({ fault, status, end }: OpenRouterCall): boolean {
  return fault !== null || (status ?? 500) >= 400 || end !== 'answered';
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
