import type { FailureKind } from './failures';

const windowSeconds = 30;
const leastSamples = 10;
const openAt = 0.5;
const leastKeyFailures = 2;
const leastKeyRate = 0.2;
const timesPeers = 3;
// A key that served hundreds and answers nobody any more would take many failures to a fifth of all.
const leastInRow = 4;
const mostModels = 500;

/** What opened, with the soft failures that led to it, by kind. */
export interface Tripped {
  readonly what: 'key' | 'model';
  readonly before: Readonly<Record<string, number>>;
}

/** Counts how calls to models end, for each key apart, and says when one of them is to be left alone. */
export interface Breakers {
  /**
   * `usableKeys` are those that serve the model now. A model is only to blame when more than half of
   * them fail: else some of the keys are, and taking those out is enough.
   */
  note(sample: {
    model: string;
    keyId: string;
    failure: FailureKind | null;
    now: number;
    usableKeys: () => number;
  }): Tripped | null;
}

export function createBreakers(): Breakers {
  const models = new Map<string, Map<string, Window>>();

  return {
    note({ model, keyId, failure, now, usableKeys }) {
      const keys = keysOf(model);
      let window = keys.get(keyId);
      if (window === undefined) {
        window = new Window();
        keys.set(keyId, window);
      }
      window.add(now, failure);
      if (failure === null) {
        return null;
      }
      if (isKeysFault(keys, keyId, now)) {
        // What this key did is no sign of the model.
        keys.delete(keyId);
        return { what: 'key', before: window.kinds() };
      }
      const before = modelsFault(keys, now, usableKeys);
      if (before !== null) {
        models.delete(model);
        return { what: 'model', before };
      }
      return null;
    },
  };

  function keysOf(model: string): Map<string, Window> {
    let keys = models.get(model);
    if (keys === undefined) {
      const [oldest] = models.keys();
      if (models.size >= mostModels && oldest !== undefined) {
        models.delete(oldest);
      }
      keys = new Map();
      models.set(model, keys);
    }
    return keys;
  }
}

/**
 * Whether a key fails three times as often as most of the others do at the same model, or answered
 * none of its last calls while most of the others do.
 */
function isKeysFault(keys: ReadonlyMap<string, Window>, keyId: string, now: number): boolean {
  const own = keys.get(keyId)?.counts(now);
  if (own === undefined || own.failed < leastKeyFailures) {
    return false;
  }
  const peers = [...keys]
    .filter(([id, window]) => id !== keyId && window.counts(now).all > 0)
    .map(([, window]) => window);
  // The middle one: half of the others may be as bad.
  const usual = middle(peers.map((window) => rateOf(window.counts(now))));
  if (usual === undefined) {
    return false;
  }
  const rate = rateOf(own);
  const isSilent = (keys.get(keyId)?.inRow ?? 0) >= leastInRow;
  return (
    (rate >= leastKeyRate && rate >= timesPeers * usual) ||
    (isSilent && middle(peers.map(({ inRow }) => inRow)) === 0)
  );
}

function middle(list: readonly number[]): number | undefined {
  return list.toSorted((a, b) => a - b)[Math.floor((list.length - 1) / 2)];
}

function modelsFault(
  keys: ReadonlyMap<string, Window>,
  now: number,
  usableKeys: () => number,
): Record<string, number> | null {
  let all = 0;
  let failed = 0;
  let failing = 0;
  const before: Record<string, number> = {};
  for (const window of keys.values()) {
    const counts = window.counts(now);
    all += counts.all;
    failed += counts.failed;
    failing += counts.failed > 0 ? 1 : 0;
    for (const [kind, count] of Object.entries(window.kinds())) {
      before[kind] = (before[kind] ?? 0) + count;
    }
  }
  const isOpen = all >= leastSamples && failed >= openAt * all && failing > usableKeys() / 2;
  return isOpen ? before : null;
}

interface Counts {
  readonly all: number;
  readonly failed: number;
}

function rateOf({ all, failed }: Counts): number {
  return all === 0 ? 0 : failed / all;
}

/** What one key did at one model within the last 30 s, by the second. */
class Window {
  private readonly all = new Uint32Array(windowSeconds);
  private readonly failed = new Uint32Array(windowSeconds);
  private readonly seconds = new Float64Array(windowSeconds);
  private failures: Record<string, number> = {};
  /** Failures since the last success. */
  inRow = 0;

  add(now: number, failure: FailureKind | null): void {
    this.inRow = failure === null ? 0 : this.inRow + 1;
    const second = Math.floor(now / 1_000);
    const at = second % windowSeconds;
    if (this.seconds[at] !== second) {
      if (failure !== null && this.counts(now).failed === 0) {
        this.failures = {};
      }
      this.seconds[at] = second;
      this.all[at] = 0;
      this.failed[at] = 0;
    }
    this.all[at] = (this.all[at] ?? 0) + 1;
    if (failure !== null) {
      this.failed[at] = (this.failed[at] ?? 0) + 1;
      this.failures[failure] = (this.failures[failure] ?? 0) + 1;
    }
  }

  counts(now: number): Counts {
    const oldest = Math.floor(now / 1_000) - windowSeconds;
    let all = 0;
    let failed = 0;
    for (let at = 0; at < windowSeconds; at++) {
      if ((this.seconds[at] ?? 0) > oldest) {
        all += this.all[at] ?? 0;
        failed += this.failed[at] ?? 0;
      }
    }
    return { all, failed };
  }

  /** Soft failures by kind since there were none. */
  kinds(): Record<string, number> {
    return this.failures;
  }
}
