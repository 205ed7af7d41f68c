import { Readable } from 'node:stream';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { SmtpMessage } from './smtpMessage';

/** How the way to the server is protected: from the first byte, by STARTTLS, or not at all. */
export type SmtpSecurity = 'tls' | 'starttls' | 'none';

export interface SmtpServer {
  host: string;
  port: number;
  security: SmtpSecurity;
  /** What is trusted, and by which name the server is known; default the system's authorities. */
  tls?: { ca?: string; servername?: string; rejectUnauthorized?: boolean };
  auth: { user: string; password: string } | null;
  /** What we call ourselves in EHLO; default the machine's name. */
  clientName?: string;
  connectionTimeoutMs: number;
  greetingTimeoutMs: number;
  /** Silence of the server that ends a connection. */
  socketTimeoutMs: number;
}

/** Where an attempt came to its end: while it waited for its turn, or in the conversation. */
export type SmtpStep = 'turn' | 'connection' | 'login' | 'sender' | 'recipient' | 'data';

/** What came of handing one message to a server. */
export type SmtpAttempt =
  | { kind: 'taken'; reply: string }
  /** `reply` is the server's, null when there was none: then `code` says what happened instead. */
  | { kind: 'failed'; step: SmtpStep; reply: string | null; code: string; mayBeTaken: boolean };

export type SmtpFailure = Extract<SmtpAttempt, { kind: 'failed' }>;

const closeGraceMs = 1_000;
const chunkBytes = 64 * 1024;

/**
 * One connection that sends one message after another. The protocol is nodemailer's. Its pool is not
 * used: that one sends a message again by itself when a connection ends, and does not say whether
 * the end of the message had been written, which is what decides between "not sent" and "in doubt".
 */
export class SmtpSession {
  messages = 0;
  /** When it was put back, for the pool. */
  idleSince = 0;
  private isJustOpened = true;
  /** It was ended because a message took too long. */
  isTooSlow = false;
  private isOver = false;
  /** Ends what is under way. */
  private interrupt: ((error: unknown) => void) | null = null;
  private endsAtMs: number;
  private watch: NodeJS.Timeout | null = null;

  private constructor(
    private readonly connection: SMTPConnection,
    private readonly timeoutMs: number,
    { endsAtMs, onEnd }: { endsAtMs: number; onEnd: (session: SmtpSession) => void },
  ) {
    this.endsAtMs = endsAtMs;
    connection.once('end', () => {
      this.isOver = true;
      if (this.watch !== null) {
        clearTimeout(this.watch);
      }
      onEnd(this);
      // The end of a connection is told before the reason for it, in the same turn.
      queueMicrotask(() => this.interrupt?.(new Error('the connection ended')));
    });
  }

  /**
   * Connects and logs in; gives the failure instead when that is not to be. `timeoutMs` is the time for
   * this and a message that is sent at once together, and for each message after that.
   */
  static open(
    server: SmtpServer,
    timeoutMs: number,
    onEnd: (session: SmtpSession) => void,
  ): Promise<SmtpSession | SmtpFailure> {
    return new Promise((resolve) => {
      const connection = new SMTPConnection(connectionOptions(server));
      const endsAtMs = performance.now() + timeoutMs;
      const fail = (error: unknown) => {
        clearTimeout(timer);
        resolve(failureOf(error, { mayBeTaken: false }));
        connection.close();
      };
      const timer = setTimeout(() => fail(noAnswer(timeoutMs)), timeoutMs);
      const succeed = () => {
        clearTimeout(timer);
        resolve(new SmtpSession(connection, timeoutMs, { endsAtMs, onEnd }));
      };
      // Stays for as long as the connection: an error of an idle one is told by its end.
      connection.on('error', fail);
      connection.connect((error) => {
        if (error) {
          fail(error);
        } else if (server.auth === null) {
          succeed();
        } else {
          const { user, password: pass } = server.auth;
          connection.login({ credentials: { user, pass } }, (refusal) =>
            refusal === null ? succeed() : fail(refusal),
          );
        }
      });
    });
  }

  get isUsable(): boolean {
    return !this.isOver;
  }

  /** It was opened for a message that is not sent: the next one has all the time of its own. */
  passOn(): void {
    this.isJustOpened = false;
  }

  /** Sends one message, once. When it takes too long the connection ends, and with it the attempt. */
  send(message: SmtpMessage): Promise<SmtpAttempt> {
    const { sender: from, recipient: to, source } = message;
    const body = new MessageBody(source);
    const nowMs = performance.now();
    if (!this.isJustOpened) {
      this.endsAtMs = nowMs + this.timeoutMs;
    }
    this.isJustOpened = false;
    this.messages += 1;
    this.watch ??= setTimeout(() => this.lookAtTime(), this.endsAtMs - nowMs);
    return new Promise((resolve) => {
      const finish = (attempt: SmtpAttempt) => {
        this.interrupt = null;
        resolve(attempt);
      };
      this.interrupt = (error) => finish(failureOf(error, { mayBeTaken: body.isHandedOver }));
      this.connection.send({ from, to, size: source.length }, body, (error, info) => {
        if (error === null) {
          finish({ kind: 'taken', reply: info.response });
        } else {
          this.interrupt?.(error);
        }
      });
    });
  }

  /** One timer serves all messages of a connection: most of them are long over when it comes. */
  private lookAtTime(): void {
    this.watch = null;
    if (this.interrupt === null) {
      return;
    }
    const leftMs = this.endsAtMs - performance.now();
    if (leftMs > 0) {
      this.watch = setTimeout(() => this.lookAtTime(), leftMs);
      return;
    }
    this.isTooSlow = true;
    this.interrupt(noAnswer(this.timeoutMs));
    this.close();
  }

  /**
   * Makes the session ready for another message, in what is left of the refused one's time; false when it
   * cannot be.
   */
  reset(): Promise<boolean> {
    this.watch ??= setTimeout(() => this.lookAtTime(), this.endsAtMs - performance.now());
    return new Promise((resolve) => {
      const finish = (isReady: boolean) => {
        this.interrupt = null;
        resolve(isReady);
      };
      this.interrupt = () => finish(false);
      this.connection.reset((error) => finish(error === null));
    });
  }

  /** Says goodbye; resolves when the connection has ended, whatever the server does. */
  async quit(): Promise<void> {
    if (this.isOver) {
      return;
    }
    const ended = new Promise<void>((resolve) => this.connection.once('end', () => resolve()));
    const hurry = setTimeout(() => this.close(), closeGraceMs);
    this.connection.quit();
    await ended;
    clearTimeout(hurry);
  }

  close(): void {
    this.connection.close();
  }
}

function noAnswer(timeoutMs: number): Error {
  return new Error(`no answer within ${timeoutMs} ms`);
}

/**
 * The bytes of a message. nodemailer reads them only after the server asked for them, and writes the
 * end of the message only after they have ended.
 */
class MessageBody extends Readable {
  /** Whether all was read: from here on the server may have the whole message. */
  isHandedOver = false;
  private at = 0;

  constructor(private readonly source: Buffer) {
    super();
  }

  /** One chunk needs no reading bit by bit, which costs as much as writing it. */
  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    if (this.source.length > chunkBytes) {
      return super.pipe(destination, options);
    }
    this.isHandedOver = true;
    destination.end(this.source);
    return destination;
  }

  override _read(): void {
    if (this.at < this.source.length) {
      this.push(this.source.subarray(this.at, (this.at += chunkBytes)));
    } else {
      this.isHandedOver = true;
      this.push(null);
    }
  }
}

function connectionOptions(server: SmtpServer): SMTPConnection.Options {
  const { host, port, security, tls } = server;
  return {
    host,
    port,
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    tls: { minVersion: 'TLSv1.2', ...tls },
    name: server.clientName,
    connectionTimeout: server.connectionTimeoutMs,
    greetingTimeout: server.greetingTimeoutMs,
    dnsTimeout: server.connectionTimeoutMs,
    socketTimeout: server.socketTimeoutMs,
    socketCloseTimeout: closeGraceMs,
  };
}

/** What nodemailer tells of a failure: the command it was about, the server's reply if there was one. */
function failureOf(error: unknown, { mayBeTaken }: { mayBeTaken: boolean }): SmtpFailure {
  const { command, code, originalCode, response, message } = fieldsOf(error);
  const reply = response ?? null;
  // A refusal of the message itself is final: a server must not deliver what it refused (RFC 5321
  // 4.2.5). A reply that came while the connection broke says nothing of the message.
  const isRefusal = command === 'DATA' && reply !== null && /^[45]/.test(reply);
  return {
    kind: 'failed',
    step: stepOf(command),
    reply,
    code: originalCode ?? code ?? message ?? 'unknown',
    mayBeTaken: mayBeTaken && !isRefusal,
  };
}

const steps: Readonly<Record<string, SmtpStep>> = {
  'MAIL FROM': 'sender',
  'RCPT TO': 'recipient',
  DATA: 'data',
};

function stepOf(command = ''): SmtpStep {
  return command.startsWith('AUTH') ? 'login' : (steps[command] ?? 'connection');
}

type ErrorField = 'command' | 'code' | 'originalCode' | 'response' | 'message';

function fieldsOf(error: unknown): Partial<Record<ErrorField, string>> {
  const fields: Partial<Record<ErrorField, string>> = {};
  if (typeof error === 'object' && error !== null) {
    for (const name of ['command', 'code', 'originalCode', 'response', 'message'] as const) {
      const value: unknown = Reflect.get(error, name);
      if (typeof value === 'string') {
        fields[name] = value;
      }
    }
  }
  return fields;
}
