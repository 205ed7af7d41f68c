import type { SmtpMessage } from './smtpMessage';
import { SmtpSession, type SmtpAttempt, type SmtpFailure, type SmtpServer } from './smtpSession';

export interface SmtpPoolOptions {
  server: SmtpServer;
  maxConnections: number;
  /** After so many a connection is ended and another opened: some servers count. */
  maxMessages: number;
  /** A connection that was not used for so long is ended before the server does it. */
  idleMs: number;
}

/** What someone who waited gets: a session, or leave to open one; null when the pool was closed. */
type Turn = SmtpSession | 'open' | null;

/** The connections of one account: opened as they are needed, used again, ended when idle. */
export class SmtpPool {
  /** The last used is used next, so that those beyond need grow old and end. */
  private readonly idle: SmtpSession[] = [];
  private readonly waiting = new Set<(turn: Turn) => void>();
  private readonly underWay = new Set<Promise<unknown>>();
  /** Connections that are open or being opened. */
  private connections = 0;
  private isClosed = false;
  private idleTimer: NodeJS.Timeout | null = null;

  constructor(private readonly options: SmtpPoolOptions) {}

  /** Hands one message to the server, once. The signal ends the attempt wherever it is. */
  send(message: SmtpMessage, signal: AbortSignal): Promise<SmtpAttempt> {
    return this.track(this.attempt(message, signal));
  }

  /** Waits for what is under way, then ends every connection. */
  async close(): Promise<void> {
    this.isClosed = true;
    for (const take of this.waiting) {
      take(null);
    }
    while (this.underWay.size > 0) {
      await Promise.all(this.underWay);
    }
    if (this.idleTimer !== null) {
      clearTimeout(this.idleTimer);
    }
    await Promise.all(this.idle.splice(0).map((session) => session.quit()));
  }

  private async attempt(message: SmtpMessage, signal: AbortSignal): Promise<SmtpAttempt> {
    for (;;) {
      const session = await this.acquire(signal);
      if ('kind' in session) {
        return session;
      }
      const isFirst = session.messages === 0;
      const attempt = await session.send(message, signal);
      void this.track(this.release(session, attempt));
      if (isFirst || !endedBeforeUse(attempt) || signal.aborted) {
        return attempt;
      }
    }
  }

  private async acquire(signal: AbortSignal): Promise<SmtpSession | SmtpFailure> {
    const turn = this.isClosed ? null : (this.idle.pop() ?? (await this.waitForTurn(signal)));
    if (turn === null) {
      return notBegun(signal.aborted ? 'no connection became free in time' : 'the pool is closed');
    }
    return turn === 'open' ? this.open(signal) : turn;
  }

  private waitForTurn(signal: AbortSignal): Turn | Promise<Turn> {
    if (this.connections < this.options.maxConnections) {
      this.connections += 1;
      return 'open';
    }
    return new Promise((resolve) => {
      const take = (turn: Turn) => {
        this.waiting.delete(take);
        signal.removeEventListener('abort', onAbort);
        resolve(turn);
      };
      const onAbort = () => take(null);
      signal.addEventListener('abort', onAbort);
      this.waiting.add(take);
    });
  }

  private async open(signal: AbortSignal): Promise<SmtpSession | SmtpFailure> {
    const session = await SmtpSession.open(this.options.server, signal, (ended) =>
      this.forget(ended),
    );
    if ('kind' in session) {
      this.makeRoom();
    }
    return session;
  }

  private async release(session: SmtpSession, attempt: SmtpAttempt): Promise<void> {
    if (session.messages >= this.options.maxMessages) {
      await session.quit();
      return;
    }
    if (attempt.kind === 'failed' && session.isUsable && !(await session.reset())) {
      session.close();
    }
    if (!session.isUsable) {
      return;
    }
    const [next] = this.waiting;
    if (next) {
      next(session);
    } else {
      session.idleSince = Date.now();
      this.idle.push(session);
      this.watchIdle();
    }
  }

  private forget(session: SmtpSession): void {
    const place = this.idle.indexOf(session);
    if (place !== -1) {
      this.idle.splice(place, 1);
    }
    this.makeRoom();
  }

  private makeRoom(): void {
    this.connections -= 1;
    const [next] = this.waiting;
    if (next) {
      this.connections += 1;
      next('open');
    }
  }

  private watchIdle(): void {
    this.idleTimer ??= setTimeout(() => {
      this.idleTimer = null;
      const oldest = Date.now() - this.options.idleMs;
      for (const session of this.idle.filter(({ idleSince }) => idleSince <= oldest)) {
        this.idle.splice(this.idle.indexOf(session), 1);
        void this.track(session.quit());
      }
      if (this.idle.length > 0) {
        this.watchIdle();
      }
    }, this.options.idleMs).unref();
  }

  private async track<T>(work: Promise<T>): Promise<T> {
    this.underWay.add(work);
    try {
      return await work;
    } finally {
      this.underWay.delete(work);
    }
  }
}

/** Whether a connection that had been idle was gone when it was used: nothing of the message left. */
function endedBeforeUse(attempt: SmtpAttempt): boolean {
  return (
    attempt.kind === 'failed' &&
    attempt.step === 'connection' &&
    attempt.reply === null &&
    !attempt.mayBeTaken &&
    attempt.code !== 'ETIMEDOUT'
  );
}

function notBegun(code: string): SmtpFailure {
  return { kind: 'failed', step: 'connection', reply: null, code, mayBeTaken: false };
}
