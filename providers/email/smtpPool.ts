import type { SmtpMessage, Unsendable } from './smtpMessage';
import {
  SmtpSession,
  type SmtpAttempt,
  type SmtpFailure,
  type SmtpServer,
  type SmtpStep,
} from './smtpSession';

export interface SmtpPoolOptions {
  server: SmtpServer;
  maxConnections: number;
  /** After so many a connection is ended and another opened: some servers count. */
  maxMessages: number;
  /** A connection that was not used for so long is ended before the server does it. */
  idleMs: number;
  /**
   * For a message, with the opening of its connection where it is the first. One that has waited as long
   * when its turn comes is not sent.
   */
  timeoutMs: number;
  /** Is told when nobody is left in line and the first connection has nothing to do. */
  onIdle?: (() => void) | undefined;
}

/** What someone who waited gets: a session, or leave to open one; null when the pool was closed. */
type Turn = SmtpSession | 'open' | null;

/** The connections of one account: opened as they are needed, used again, ended when idle. */
export class SmtpPool {
  /** The last used is used next, so that those beyond need grow old and end. */
  private readonly idle: SmtpSession[] = [];
  private readonly waiting: ((turn: Turn) => void)[] = [];
  /** Calls, and connections that are being ended or made ready again. */
  private underWay = 0;
  private onceQuiet: (() => void) | null = null;
  private closing: Promise<void> | null = null;
  /** Connections that are open or being opened. */
  private connections = 0;
  private idleTimer: NodeJS.Timeout | null = null;

  constructor(private readonly options: SmtpPoolOptions) {}

  /**
   * Hands one message to the server, once, within twice `timeoutMs`. It is written when a connection is
   * free for it: who stands in line holds no second copy of it. It is not sent when a connection is
   * ready for it only at `leaveByMs` of `performance.now()` or after.
   */
  async send(
    write: () => SmtpMessage | Unsendable,
    leaveByMs = Infinity,
  ): Promise<SmtpAttempt | Unsendable> {
    // Behind a server that hangs a line takes minutes: its calls would leave after their lease.
    const latestMs = Math.min(performance.now() + this.options.timeoutMs, leaveByMs);
    this.underWay += 1;
    try {
      for (;;) {
        const turn = this.closing ? null : (this.idle.pop() ?? (await this.waitForTurn()));
        if (turn === null) {
          return notBegun('connection', 'the pool is closed');
        }
        if (performance.now() >= latestMs) {
          this.giveBack(turn);
          return tooLate;
        }
        const message = this.written(turn, write);
        if ('of' in message) {
          return message;
        }
        const session = turn === 'open' ? await this.open() : turn;
        if ('kind' in session) {
          return session;
        }
        if (performance.now() >= leaveByMs) {
          session.passOn();
          this.handOver(session);
          return tooLate;
        }
        const attempt = await session.send(message);
        this.release(session, attempt);
        if (turn === 'open' || session.isTooSlow || !endedBeforeUse(attempt)) {
          return attempt;
        }
      }
    } finally {
      this.end();
    }
  }

  /** Waits for what is under way, then ends every connection. */
  close(): Promise<void> {
    this.closing ??= this.endAll();
    return this.closing;
  }

  private async endAll(): Promise<void> {
    for (const take of this.waiting.splice(0)) {
      take(null);
    }
    if (this.underWay > 0) {
      await new Promise<void>((resolve) => {
        this.onceQuiet = resolve;
      });
    }
    if (this.idleTimer !== null) {
      clearTimeout(this.idleTimer);
    }
    await Promise.all(this.idle.splice(0).map((session) => session.quit()));
  }

  private written(
    turn: SmtpSession | 'open',
    write: () => SmtpMessage | Unsendable,
  ): SmtpMessage | Unsendable {
    let message: SmtpMessage | Unsendable | null = null;
    try {
      message = write();
      return message;
    } finally {
      if (message === null || 'of' in message) {
        this.giveBack(turn);
      }
    }
  }

  private giveBack(turn: SmtpSession | 'open'): void {
    if (turn === 'open') {
      this.makeRoom();
    } else {
      this.handOver(turn);
    }
  }

  private end(): void {
    this.underWay -= 1;
    if (this.underWay === 0) {
      this.onceQuiet?.();
    }
  }

  private waitForTurn(): Turn | Promise<Turn> {
    if (this.connections < this.options.maxConnections) {
      this.connections += 1;
      return 'open';
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private async open(): Promise<SmtpSession | SmtpFailure> {
    const { server, timeoutMs } = this.options;
    const session = await SmtpSession.open(server, timeoutMs, (ended) => this.forget(ended));
    if ('kind' in session) {
      this.makeRoom();
    }
    return session;
  }

  private release(session: SmtpSession, attempt: SmtpAttempt): void {
    if (session.messages >= this.options.maxMessages) {
      this.inBackground(session.quit());
    } else if (attempt.kind === 'failed' && session.isUsable) {
      this.inBackground(this.renew(session));
    } else {
      this.handOver(session);
    }
  }

  private async renew(session: SmtpSession): Promise<void> {
    if (await session.reset()) {
      this.handOver(session);
    } else {
      session.close();
    }
  }

  private handOver(session: SmtpSession): void {
    if (!session.isUsable) {
      return;
    }
    const next = this.waiting.shift();
    if (next) {
      next(session);
    } else {
      session.idleSince = Date.now();
      this.idle.push(session);
      this.watchIdle();
      if (this.idle.length === 1) {
        this.options.onIdle?.();
      }
    }
  }

  private inBackground(work: Promise<void>): void {
    this.underWay += 1;
    void work.finally(() => this.end());
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
    const next = this.waiting.shift();
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
        this.inBackground(session.quit());
      }
      if (this.idle.length > 0) {
        this.watchIdle();
      }
    }, this.options.idleMs).unref();
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

const tooLate = notBegun('turn', 'no connection became free in time');

function notBegun(step: SmtpStep, code: string): SmtpFailure {
  return { kind: 'failed', step, reply: null, code, mayBeTaken: false };
}
