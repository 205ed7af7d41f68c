import type { KeyState } from './accounts';
import type { OpenRouterFaultName, OpenRouterPath } from './faults';

/** One request to the vendor of models, as it went. Holds nothing of the prompt or of the key. */
export interface OpenRouterCall {
  n: number;
  /** Milliseconds since the epoch, when the request was read. */
  at: number;
  path: OpenRouterPath | 'other';
  /** The key's label; null for a management key and for a token that opens nothing. */
  key: string | null;
  account: string | null;
  model: string | null;
  stream: boolean;
  /** Of HTTP; null where nothing was answered. */
  status: number | null;
  fault: OpenRouterFaultName | null;
  /** `cut` and `hung` by a fault, `aborted` by the caller. */
  end: 'answered' | 'cut' | 'hung' | 'aborted' | null;
  endedAt: number | null;
  /** `session_id` and `user` of the request, by which a test knows its own. */
  session: string | null;
  user: string | null;
  costMicros: number;
}

/** What there was of a key or an account. */
export interface CallCounts {
  calls: number;
  /** With an answer that was none: an error status, a fault, an end before the end. */
  failed: number;
  faults: Record<string, number>;
}

const KEPT = 200_000;

/** What callers did, in order of arrival; the oldest are forgotten. */
export class OpenRouterCalls {
  private list: OpenRouterCall[] = [];
  private last = 0;
  private byKey = new Map<string, CallCounts>();
  private byAccount = new Map<string, CallCounts>();

  begin(path: OpenRouterCall['path'], now: number): OpenRouterCall {
    this.last += 1;
    const call: OpenRouterCall = {
      n: this.last,
      at: now,
      path,
      key: null,
      account: null,
      model: null,
      stream: false,
      status: null,
      fault: null,
      end: null,
      endedAt: null,
      session: null,
      user: null,
      costMicros: 0,
    };
    this.list.push(call);
    if (this.list.length > KEPT) {
      this.list.splice(0, KEPT / 10);
    }
    return call;
  }

  /** Says whose call it is. */
  by(call: OpenRouterCall, key: KeyState | null, account: string): void {
    call.key = key?.label ?? null;
    call.account = account;
  }

  end(call: OpenRouterCall, end: NonNullable<OpenRouterCall['end']>, now: number): void {
    if (call.end !== null) {
      return;
    }
    call.end = end;
    call.endedAt = now;
    count(this.byKey, call.key, call);
    count(this.byAccount, call.account, call);
  }

  page(from: number, limit: number) {
    const start = this.list.findIndex(({ n }) => n >= from);
    return {
      total: this.list.length,
      byKey: Object.fromEntries(this.byKey),
      byAccount: Object.fromEntries(this.byAccount),
      items: start === -1 ? [] : this.list.slice(start, start + limit),
    };
  }

  clear(): void {
    this.list = [];
    this.byKey = new Map();
    this.byAccount = new Map();
  }
}

function count(all: Map<string, CallCounts>, name: string | null, call: OpenRouterCall): void {
  if (name === null) {
    return;
  }
  let counts = all.get(name);
  if (!counts) {
    counts = { calls: 0, failed: 0, faults: {} };
    all.set(name, counts);
  }
  counts.calls += 1;
  if (call.fault !== null || call.end !== 'answered' || (call.status ?? 500) >= 400) {
    counts.failed += 1;
  }
  if (call.fault !== null) {
    counts.faults[call.fault] = (counts.faults[call.fault] ?? 0) + 1;
  }
}
