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

/** Where in the conversation an attempt came to its end. */
export type SmtpStep = 'connection' | 'login' | 'sender' | 'recipient' | 'data';

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
  private isOver = false;

  private constructor(
    private readonly connection: SMTPConnection,
    onEnd: (session: SmtpSession) => void,
  ) {
    connection.once('end', () => {
      this.isOver = true;
      onEnd(this);
    });
  }

  /** Connects and logs in; gives the failure instead when that is not to be. */
  static open(
    server: SmtpServer,
    signal: AbortSignal,
    onEnd: (session: SmtpSession) => void,
  ): Promise<SmtpSession | SmtpFailure> {
    return new Promise((resolve) => {
      const connection = new SMTPConnection(connectionOptions(server));
      const fail = (error: unknown) => {
        signal.removeEventListener('abort', onAbort);
        resolve(failureOf(error, { mayBeTaken: false }));
        connection.close();
      };
      const onAbort = () => fail(signal.reason);
      if (signal.aborted) {
        onAbort();
        return;
      }
      const succeed = () => {
        signal.removeEventListener('abort', onAbort);
        resolve(new SmtpSession(connection, onEnd));
      };
      // Stays for as long as the connection: an error of an idle one is told by its end.
      connection.on('error', fail);
      signal.addEventListener('abort', onAbort);
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

  /** Sends one message, once; an aborted signal ends the connection and with it the attempt. */
  send(message: SmtpMessage, signal: AbortSignal): Promise<SmtpAttempt> {
    if (signal.aborted) {
      return Promise.resolve(failureOf(signal.reason, { mayBeTaken: false }));
    }
    const { sender: from, recipient: to, source } = message;
    const body = new MessageBody(source);
    this.messages += 1;
    return new Promise((resolve) => {
      const finish = (attempt: SmtpAttempt) => {
        this.connection.off('end', onEnd);
        signal.removeEventListener('abort', onAbort);
        resolve(attempt);
      };
      const failWith = (error: unknown) =>
        finish(failureOf(error, { mayBeTaken: body.isHandedOver }));
      const onAbort = () => {
        failWith(signal.reason);
        this.close();
      };
      // The end of a connection is told before the reason for it, in the same turn.
      const onEnd = () => queueMicrotask(() => failWith(new Error('the connection ended')));
      this.connection.once('end', onEnd);
      signal.addEventListener('abort', onAbort);
      this.connection.send({ from, to, size: source.length }, body, (error, info) => {
        if (error === null) {
          finish({ kind: 'taken', reply: info.response });
        } else {
          failWith(error);
        }
      });
    });
  }

  /** Makes the session ready for another message after a refused one; false when it cannot be. */
  reset(): Promise<boolean> {
    return new Promise((resolve) => {
      const onEnd = () => resolve(false);
      this.connection.once('end', onEnd);
      this.connection.reset((error) => {
        this.connection.off('end', onEnd);
        resolve(error === null);
      });
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
