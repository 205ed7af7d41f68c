import { randomBytes } from 'node:crypto';
import type { MessageOutcome } from '../types';
import type { OneByOneEmailProvider, OneEmail } from './oneByOne';
import { writeMessage, type Unsendable } from './smtpMessage';
import { SmtpPool } from './smtpPool';
import { outcomeOf } from './smtpReplies';
import type { SmtpServer } from './smtpSession';

export interface SmtpOptions extends SmtpServer {
  accountId: string;
  /** Connections at a time; more calls than that wait for one. */
  maxConnections: number;
  /** Messages that one connection carries before it is replaced. */
  maxMessages: number;
  /** Default 60 s: most servers end an idle connection after five minutes, some after one or two. */
  idleMs?: number;
  /**
   * The whole of a call, waiting for a connection too. A call that has handed over its message and
   * has no answer by then is in doubt; keep it well below the lease.
   */
  timeoutMs: number;
}

const usualIdleMs = 60_000;

/** Any server that takes mail by SMTP: one call per message over connections that stay open. */
export function createSmtp(options: SmtpOptions): OneByOneEmailProvider {
  const { accountId, maxConnections, maxMessages, idleMs = usualIdleMs, timeoutMs } = options;
  const pool = new SmtpPool({ server: options, maxConnections, maxMessages, idleMs });
  return { accountId, send, close: () => pool.close() };

  async function send(mail: OneEmail): Promise<MessageOutcome> {
    const boundary = `=_${randomBytes(18).toString('base64url')}`;
    const message = writeMessage(mail, { date: new Date(), boundary });
    if ('of' in message) {
      return refusedHere(message);
    }
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(new Error(`no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      return outcomeOf(await pool.send(message, deadline.signal));
    } finally {
      clearTimeout(timer);
    }
  }
}

// RFC 5321 4.2.2: what a server would have answered to it.
const badMailboxStatus = 553;

function refusedHere({ of, reason }: Unsendable): MessageOutcome {
  return of === 'recipient'
    ? {
        kind: 'recipientRefused',
        status: badMailboxStatus,
        reason,
        consequence: 'addressInvalid',
      }
    : { kind: 'messageRefused', status: badMailboxStatus, reason };
}
