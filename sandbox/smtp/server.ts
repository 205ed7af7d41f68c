import { randomBytes } from 'node:crypto';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import type { Logger } from '../../lib/logger';
import type { Call } from '../calls';
import { pause } from '../exchange';
import type { CallFault } from '../faults';
import type { Intake } from '../intake';
import { openReceivedMail, SMTP } from './acceptedMail';
import { createSmtpBehaviour, type SmtpRefusal } from './behaviour';
import type { SmtpOptions } from './options';
import { readMail } from './readMail';

const MAX_MESSAGE_BYTES = 30 * 1024 * 1024;
const CLOSE_GRACE_MS = 2_000;

export interface SmtpStandIn {
  port: number;
  /** Connections that are open now. */
  connections(): number;
  close(): Promise<void>;
}

/** What is told to the client; null when its connection is cut instead. */
type Answer = { queuedAs: string } | { refusal: SmtpRefusal } | null;

/**
 * A mail server that takes mail for everybody and delivers it to the inbox. Each message meets the
 * faults that are switched on when its end has come: a share of 421 and 451, delays, an answer that
 * never comes, a connection that is cut before or after the message was taken.
 */
export async function startSmtpServer(
  options: SmtpOptions,
  { intake, host, logger }: { intake: Intake; host: string; logger: Logger },
): Promise<SmtpStandIn> {
  const { calls, faults, closing } = intake;
  const behaviour = createSmtpBehaviour();
  // The transaction of a connection; another one begins with the next MAIL.
  const current = new Map<string, Call>();

  const server = new SMTPServer({
    name: 'sandbox',
    banner: 'Carillon sandbox',
    size: MAX_MESSAGE_BYTES,
    rejectOversized: true,
    authOptional: options.credentials === undefined,
    allowInsecureAuth: true,
    disableReverseLookup: true,
    // The replies carry codes of their own.
    hideENHANCEDSTATUSCODES: true,
    closeTimeout: CLOSE_GRACE_MS,
    // It warns of its certificate, which everybody has: this server is for this machine only.
    logger: false,
    onAuth({ username, password }, _, done) {
      const { credentials } = options;
      const isKnown =
        credentials === undefined ||
        (credentials.user === username && credentials.password === password);
      done(isKnown ? null : refusalError({ code: 535, text: '5.7.8 Wrong user or password' }), {
        user: username,
      });
    },
    onMailFrom(_, session, done) {
      current.set(session.id, calls.begin(SMTP, intake.mode === 'inbox'));
      done();
    },
    onRcptTo({ address }, session, done) {
      const refusal =
        behaviour.refusalOf(address, 'recipient') ??
        (isRejected(address) ? { code: 550, text: '5.1.1 The mailbox does not exist' } : null);
      const call = current.get(session.id);
      if (refusal === null || !call) {
        done();
        return;
      }
      calls.answered(call, refusal.code);
      done(refusalError(refusal));
    },
    onData(stream, session, done) {
      take(stream, session).then(
        (answer) => {
          if (answer === null) {
            connectionOf(session)?._socket.destroy();
          } else if ('refusal' in answer) {
            done(refusalError(answer.refusal));
          } else {
            done(null, `2.0.0 OK: queued as ${answer.queuedAs}`);
          }
        },
        (error: unknown) => {
          logger.error({ err: error }, 'a mail could not be taken');
          done(refusalError({ code: 451, text: '4.3.0 The sandbox failed' }));
        },
      );
    },
    onClose(session) {
      current.delete(session.id);
    },
  });
  // Clients come and go as they like; a connection that breaks is none of our errors.
  server.on('error', (error) => logger.debug({ err: error }, 'a mail connection failed'));
  const port = await listen(server, options.port, host);
  return {
    port,
    connections: () => server.connections.size,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };

  async function take(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<Answer> {
    const call = current.get(session.id) ?? calls.begin(SMTP, intake.mode === 'inbox');
    const source = await readAll(stream);
    if (source === null) {
      calls.cut(call, 'aborted');
      return null;
    }
    const fault = faults.decide(source);
    if (fault.name !== null) {
      call.fault = fault.name;
    }
    const answer = await answerTo(call, session, { source, fault });
    if (answer === null) {
      return null;
    }
    if (fault.latencyMs > 0) {
      await pause(fault.latencyMs, closing);
    }
    if (connectionOf(session) === undefined) {
      calls.cut(call, 'aborted');
      return null;
    }
    calls.answered(call, 'refusal' in answer ? answer.refusal.code : 250);
    return answer;
  }

  async function answerTo(
    call: Call,
    session: SMTPServerSession,
    { source, fault }: { source: Buffer; fault: CallFault },
  ): Promise<Answer> {
    if (fault.name === 'hang') {
      calls.cut(call, 'hung');
      await new Promise<void>((resolve) => {
        closing.addEventListener('abort', () => resolve(), { once: true });
      });
      return null;
    }
    if (fault.name === 'dropBeforeAccept') {
      calls.cut(call, 'dropped');
      return null;
    }
    const recipients = session.envelope.rcptTo.map(({ address }) => address);
    const refusal = refusalOf(recipients, fault);
    if (refusal !== null) {
      return { refusal };
    }
    const queuedAs = randomBytes(16).toString('base64url');
    await accept(call, { messageId: queuedAs, session, recipients, source });
    if (fault.name === 'dropAfterAccept') {
      calls.cut(call, 'dropped');
      return null;
    }
    return { queuedAs };
  }

  async function accept(
    call: Call,
    {
      messageId,
      session,
      recipients,
      source,
    }: { messageId: string; session: SMTPServerSession; recipients: string[]; source: Buffer },
  ): Promise<void> {
    if (intake.mode === 'sink') {
      calls.accept(call, { recipients: recipients.length, messageId, customArgs: {} });
      intake.accounting.addUnseen(recipients.length);
      return;
    }
    const { mailFrom } = session.envelope;
    const sender = mailFrom === false ? '' : mailFrom.address;
    const mail = await readMail({ sender, recipients }, source);
    const receivedAt = Date.parse(call.receivedAt);
    await intake.accept(call, {
      header: { n: call.n, vendor: SMTP, messageId, receivedAt, events: false },
      body: Buffer.from(JSON.stringify(mail)),
      open: openReceivedMail(mail),
    });
  }

  function refusalOf(recipients: readonly string[], fault: CallFault): SmtpRefusal | null {
    // A refusal is final in SMTP: what was answered with 451 was not taken, whatever the plan says
    // of errors after acceptance.
    switch (fault.name) {
      case 'throttled':
        return { code: 421, text: '4.7.0 Too many messages, come back later' };
      case 'serverError':
        return { code: 451, text: '4.3.0 Something went wrong here' };
      case 'refuse': {
        const text = fault.refuse?.errors.map(({ message }) => message).join(' ') ?? '';
        return { code: fault.refuse?.status ?? 554, text };
      }
      case 'hang':
      case 'dropBeforeAccept':
      case 'dropAfterAccept':
      case null:
        return recipients
          .map((address) => behaviour.refusalOf(address, 'message'))
          .reduce((first, next) => first ?? next, null);
    }
  }

  function isRejected(address: string): boolean {
    return (faults.plan.rejectRecipients ?? []).some(
      (rejected) => rejected.toLowerCase() === address.toLowerCase(),
    );
  }

  function connectionOf({ id }: SMTPServerSession) {
    for (const connection of server.connections) {
      if (connection.id === id) {
        return connection;
      }
    }
    return undefined;
  }

  /** The bytes of a message; none of them are kept in a sink unless a fault looks for a text in them. */
  function readAll(stream: SMTPServerDataStream): Promise<Buffer | null> {
    const isKept = intake.mode === 'inbox' || faults.plan.match !== undefined;
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => {
        if (isKept) {
          chunks.push(chunk);
        }
      });
      stream.once('end', () => resolve(Buffer.concat(chunks)));
      // Without an end: the client went away in the middle.
      stream.once('close', () => resolve(null));
    });
  }
}

function refusalError({ code, text }: SmtpRefusal): Error {
  return Object.assign(new Error(text), { responseCode: code });
}

function listen(server: SMTPServer, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const listening = server.listen(port, host, () => {
      listening.off('error', reject);
      const address = listening.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
    listening.once('error', reject);
  });
}
