import { spanWords } from './words';

/** What was left of a balance or a limit at an instant. */
export interface Sample {
  atMs: number;
  leftMicros: number;
}

/** Below each of these it is said anew that something runs out. */
const warnings = [
  { name: '1 h', ms: 60 * 60_000 },
  { name: '24 h', ms: 24 * 60 * 60_000 },
  { name: '7 d', ms: 7 * 24 * 60 * 60_000 },
] as const;

export type RunOutWarning = (typeof warnings)[number]['name'];

const windowMs = 24 * 60 * 60_000;
const mostSamples = 60;
// From less than this nothing can be told.
const shortestMs = 60_000;

/** The samples with one more; as many as a day's forecast needs. */
export function withSample(samples: readonly Sample[], sample: Sample): Sample[] {
  const last = samples.at(-1);
  if (last !== undefined && last.atMs >= sample.atMs) {
    return [...samples];
  }
  const kept = [...samples, sample].filter(({ atMs }) => atMs > sample.atMs - windowMs);
  // Every other one of the older ones goes: the far past need not be as fine.
  return kept.length <= mostSamples
    ? kept
    : kept.filter((_, index) => index >= kept.length / 2 || index % 2 === 0);
}

/** How long what is left lasts at the rate of these samples; null where nothing is being spent. */
export function lastsMs(samples: readonly Sample[]): number | null {
  const [first] = samples;
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.atMs - first.atMs < shortestMs) {
    return null;
  }
  // What was paid in raises it in between: only what went is counted.
  const spentMicros = samples.reduce((sum, { leftMicros }, index) => {
    const before = samples[index - 1]?.leftMicros ?? leftMicros;
    return sum + Math.max(0, before - leftMicros);
  }, 0);
  return spentMicros === 0
    ? null
    : Math.max(0, last.leftMicros / (spentMicros / (last.atMs - first.atMs)));
}

/** Which warning holds: the sharpest; null for none. */
export function warningOf(forecastMs: number | null): RunOutWarning | null {
  return forecastMs === null ? null : (warnings.find(({ ms }) => forecastMs <= ms)?.name ?? null);
}

/** Whether the warning says more than the one before. */
export function isSharper(warning: RunOutWarning | null, before: RunOutWarning | null): boolean {
  const rank = (one: RunOutWarning | null) => warnings.findIndex(({ name }) => name === one);
  return warning !== null && (before === null || rank(warning) < rank(before));
}

/** "lasts about 20 h". */
export function lastsWords(forecastMs: number): string {
  return forecastMs < 1_000 ? 'is spent' : `lasts about ${spanWords(forecastMs)}`;
}
