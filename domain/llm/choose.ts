/** Something that calls can be given to. */
export interface Loaded {
  /** Its weight times its headroom: which share of the calls it is to get. */
  readonly share: number;
  readonly flow: { readonly inFlight: number };
}

/**
 * Of two that are drawn by their shares the one that has less to do for its share. While nothing is
 * under way that spreads calls by shares alone; when one of them hangs, the others get what it would.
 * `first` and `second` are in [0, 1).
 */
export function lessLoaded<T extends Loaded>(
  candidates: readonly T[],
  { first, second }: { first: number; second: number },
): T | null {
  if (candidates.length < 2) {
    return candidates[0] ?? null;
  }
  let whole = 0;
  for (const { share } of candidates) {
    whole += share;
  }
  const one = drawn(candidates, first * whole, null);
  const other = drawn(candidates, second * (whole - (one?.share ?? 0)), one);
  if (one === null || other === null || one.flow.inFlight + other.flow.inFlight === 0) {
    return one;
  }
  return load(other) < load(one) ? other : one;
}

function drawn<T extends Loaded>(candidates: readonly T[], at: number, but: T | null): T | null {
  let left = at;
  let last: T | null = null;
  for (const candidate of candidates) {
    if (candidate === but) {
      continue;
    }
    last = candidate;
    left -= candidate.share;
    if (left < 0) {
      break;
    }
  }
  return last;
}

function load({ flow, share }: Loaded): number {
  return (flow.inFlight + 1) / share;
}

// Multiples of it, cut to [0, 1), are spread as evenly as any sequence's.
const goldenRatio = 0.618_033_988_749_894_9;

/** Numbers in [0, 1) that fill it evenly: a draw by them is closer to its shares than one by chance. */
export function evenDraws(start: number): () => number {
  let at = start;
  return () => {
    at = (at + goldenRatio) % 1;
    return at;
  };
}

/** A number of 32 bits by which two texts can be told apart; no secret (FNV-1a). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

/**
 * Which of them a conversation belongs to: the same one as long as it is there, and when it is gone
 * only its own conversations move (rendezvous hashing by weight).
 */
export function homeOf<T extends { readonly hash: number; readonly weight: number }>(
  conversationHash: number,
  homes: Iterable<T>,
): T | null {
  let best: T | null = null;
  let bestScore = -Infinity;
  for (const home of homes) {
    const drawnAt = (mixed(conversationHash ^ home.hash) + 0.5) / 2 ** 32;
    const score = -home.weight / Math.log(drawnAt);
    if (score > bestScore) {
      best = home;
      bestScore = score;
    }
  }
  return best;
}

// The finalizer of MurmurHash3: every bit of the input moves half of the output's.
function mixed(hash: number): number {
  let bits = hash;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** Whether a key may ask for a model: names are exact, or the beginning of names before a `*`. */
export function allowsModel(allowed: readonly string[] | null, model: string): boolean {
  return (
    allowed === null ||
    allowed.some((name) =>
      name.endsWith('*') ? model.startsWith(name.slice(0, -1)) : name === model,
    )
  );
}

const dayMs = 24 * 60 * 60_000;
// Never none: what is left of a limit is known late and roughly.
const leastHeadroom = 0.05;
// Of a limit that never comes back, from where on a key is spared.
const sparedPart = 0.2;

/**
 * What is left of a key's limit, measured by what it will need until the limit comes back at the rate
 * of this period: 1 where that is enough.
 */
export function headroomOf(
  key: {
    readonly limitMicros: number | null;
    readonly limitRemainingMicros: number | null;
    readonly limitReset: 'daily' | 'weekly' | 'monthly' | null;
  },
  now: number,
): number {
  const { limitMicros, limitRemainingMicros, limitReset } = key;
  if (limitMicros === null || limitRemainingMicros === null || limitMicros === 0) {
    return 1;
  }
  const spent = limitMicros - limitRemainingMicros;
  const needed = limitReset === null ? limitMicros * sparedPart : spent * forecast(limitReset, now);
  return needed <= 0 ? 1 : Math.min(1, Math.max(leastHeadroom, limitRemainingMicros / needed));
}

// How much of what was spent so far is still to come in this period (UTC; weeks begin on Mondays).
function forecast(limitReset: 'daily' | 'weekly' | 'monthly', now: number): number {
  const { from, to } = periodOf(limitReset, now);
  // In its first hour nothing can be told from a few calls.
  return (to - now) / Math.max(now - from, dayMs / 24);
}

function periodOf(
  limitReset: 'daily' | 'weekly' | 'monthly',
  now: number,
): { from: number; to: number } {
  const today = now - (now % dayMs);
  switch (limitReset) {
    case 'daily':
      return { from: today, to: today + dayMs };
    case 'weekly': {
      const monday = today - ((new Date(now).getUTCDay() + 6) % 7) * dayMs;
      return { from: monday, to: monday + 7 * dayMs };
    }
    case 'monthly': {
      const date = new Date(now);
      const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
      return { from: Date.UTC(year, month), to: Date.UTC(year, month + 1) };
    }
  }
}
