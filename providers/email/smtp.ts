import { randomUUID } from 'node:crypto';
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
   * A call's time, which begins when a connection is free for it or has to be opened; one that has
   * waited as long by then is not made. One that has handed over its message and has no answer in time
   * is in doubt. Keep twice of it below the lease.
   */
  timeoutMs: number;
  /** Is told when nobody is left in line and the first connection has nothing to do. */
  onIdle?: () => void;
}

const usualIdleMs = 60_000;

/** Any server that takes mail by SMTP: one call per message over connections that stay open. */
export function createSmtp(options: SmtpOptions): OneByOneEmailProvider {
  const {
    accountId,
    maxConnections,
    maxMessages,
    idleMs = usualIdleMs,
    timeoutMs,
    onIdle,
  } = options;
  const pool = new SmtpPool({
    server: options,
    maxConnections,
    maxMessages,
    idleMs,
    timeoutMs,
    onIdle,
  });
  return { accountId, send, close: () => pool.close() };

  function send(mail: OneEmail, leaveByMs?: number): Promise<MessageOutcome> {
    return pool
      .send(
        () => writeMessage(mail, { date: new Date(), boundary: `=_${randomUUID()}` }),
        leaveByMs,
      )
      .then((result) => ('of' in result ? refusedHere(result) : outcomeOf(result)));
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
