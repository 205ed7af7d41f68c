import type { CallOptions } from './types';
import type { LateLimit } from './classify';

/** The limits of one call. What passes first aborts it, and is why it failed. */
export class CallClock {
  private readonly controller = new AbortController();
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly firstToken: NodeJS.Timeout | null;
  private idle: NodeJS.Timeout | null = null;
  private isWaiting = false;
  private passed: LateLimit | null = null;

  constructor(
    private readonly options: Pick<CallOptions, 'signal' | 'timeoutMs'> & Partial<CallOptions>,
  ) {
    const { signal, timeoutMs, firstTokenMs } = options;
    if (signal.aborted) {
      this.passed = 'cancelled';
      this.controller.abort();
    }
    signal.addEventListener('abort', this.cancel, { once: true });
    this.timers.push(setTimeout(this.pass, timeoutMs, 'whole'));
    this.firstToken =
      firstTokenMs === undefined || firstTokenMs >= timeoutMs
        ? null
        : setTimeout(this.pass, firstTokenMs, 'firstToken');
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Which limit passed; null while none did. */
  get late(): LateLimit | null {
    return this.passed;
  }

  /** The first token came, or the head of a whole answer. */
  begun(): void {
    clearTimeout(this.firstToken ?? undefined);
  }

  /** Waits for the next piece of an answer that has begun: from here silence counts. */
  waits(): void {
    // What was no piece of it, a comment, was no end of the silence either.
    if (this.isWaiting) {
      return;
    }
    this.isWaiting = true;
    if (this.idle === null) {
      this.idle = setTimeout(this.silence, this.options.idleMs);
    } else {
      this.idle.refresh();
    }
  }

  /** A piece came; how long whoever asked takes with it is no silence of the vendor. */
  came(): void {
    this.isWaiting = false;
  }

  abort(): void {
    this.controller.abort();
  }

  end(): void {
    this.options.signal.removeEventListener('abort', this.cancel);
    clearTimeout(this.firstToken ?? undefined);
    clearTimeout(this.idle ?? undefined);
    this.timers.forEach(clearTimeout);
  }

  private readonly cancel = () => this.pass('cancelled');

  private readonly silence = () => {
    if (this.isWaiting) {
      this.pass('idle');
    }
  };

  private readonly pass = (limit: LateLimit) => {
    this.passed ??= limit;
    this.controller.abort();
  };
}
