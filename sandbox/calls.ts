/** One request to a vendor's sending endpoint, as it went. */
export interface Call {
  n: number;
  vendor: string;
  /** ISO 8601 with milliseconds: when the request's first bytes were here. */
  receivedAt: string;
  /** When the answer was written; null for calls that got none, or were made before a restart. */
  answeredAt: string | null;
  /** `dropped`: the connection was cut by a fault; `hung`: held open without an answer; `aborted`: the caller went away first. */
  status: number | 'dropped' | 'hung' | 'aborted' | null;
  recipients: number;
  messageId: string | null;
  /** Arguments of the message, and of its first recipient, that the caller gets back in events. */
  customArgs: Record<string, string>;
  fault?: string;
}

const KEPT_CALLS = 250_000;

/** What callers did, in order of arrival; the oldest calls are forgotten past a quarter of a million. */
export class CallLog {
  private calls: Call[] = [];
  private lastNumber = 0;
  private accepted = 0;
  private dropped = { before: 0, after: 0, hung: 0, aborted: 0 };
  private readonly refused = new Map<number, number>();
  private firstAt: string | null = null;
  private lastAt: string | null = null;
  private total = 0;

  /** A call that is not kept counts in the figures, but is not listed. */
  begin(vendor: string, kept: boolean): Call {
    this.lastNumber += 1;
    const call: Call = {
      n: this.lastNumber,
      vendor,
      receivedAt: new Date().toISOString(),
      answeredAt: null,
      status: null,
      recipients: 0,
      messageId: null,
      customArgs: {},
    };
    this.note(call);
    if (kept) {
      this.keep(call);
    }
    return call;
  }

  /** Takes a call from before a restart into the log. */
  restore(call: Call): void {
    this.lastNumber = Math.max(this.lastNumber, call.n);
    this.note(call);
    this.keep(call);
    this.accepted += 1;
  }

  accept(call: Call, facts: Pick<Call, 'recipients' | 'messageId' | 'customArgs'>): void {
    Object.assign(call, facts);
    this.accepted += 1;
  }

  answered(call: Call, status: number): void {
    call.status = status;
    call.answeredAt = new Date().toISOString();
    if (status >= 300) {
      this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
    }
  }

  cut(call: Call, how: 'dropped' | 'hung' | 'aborted'): void {
    call.status = how;
    if (how === 'dropped') {
      this.dropped[call.messageId === null ? 'before' : 'after'] += 1;
    } else {
      this.dropped[how] += 1;
    }
  }

  list(from: number, limit: number): Call[] {
    // Calls lie in order of their numbers.
    const start = this.calls.findIndex((call) => call.n >= from);
    return start === -1 ? [] : this.calls.slice(start, start + limit);
  }

  figures() {
    return {
      calls: this.total,
      accepted: this.accepted,
      refused: Object.fromEntries(this.refused),
      dropped: { ...this.dropped },
      firstCallAt: this.firstAt,
      lastCallAt: this.lastAt,
    };
  }

  clear(): void {
    this.calls = [];
    this.accepted = 0;
    this.total = 0;
    this.dropped = { before: 0, after: 0, hung: 0, aborted: 0 };
    this.refused.clear();
    this.firstAt = null;
    this.lastAt = null;
  }

  private note(call: Call): void {
    this.total += 1;
    this.firstAt ??= call.receivedAt;
    this.lastAt = call.receivedAt;
  }

  private keep(call: Call): void {
    this.calls.push(call);
    if (this.calls.length > KEPT_CALLS) {
      this.calls.splice(0, KEPT_CALLS / 10);
    }
  }
}
