import { createServer, type Server, type Socket } from 'node:net';
import { setInterval } from 'node:timers/promises';
import { newId } from '../../../lib/ids';
import type { OneByOneEmailProvider, OneEmail } from '../../../providers/email/oneByOne';
import { createSmtp, type SmtpOptions } from '../../../providers/email/smtp';
import { closeAll, openSandbox } from '../../sandbox/support';

const running: { close(): Promise<void> }[] = [];

/** Ends every provider and server that a test opened. */
export async function closeSmtp(): Promise<void> {
  await Promise.all(running.splice(0).map((each) => each.close()));
  await closeAll();
}

/** Settings that no test waits for. */
export function smtpOptions(port: number): SmtpOptions {
  return {
    accountId: 'smtp-test',
    host: '127.0.0.1',
    port,
    security: 'none',
    auth: null,
    maxConnections: 2,
    maxMessages: 1_000,
    connectionTimeoutMs: 30_000,
    greetingTimeoutMs: 30_000,
    socketTimeoutMs: 30_000,
    timeoutMs: 60_000,
  };
}

/** A provider that talks to this port; closed by `closeSmtp`. */
export function openProvider(
  port: number,
  changes: Partial<SmtpOptions> = {},
): OneByOneEmailProvider {
  const provider = createSmtp({ ...smtpOptions(port), ...changes });
  running.push(provider);
  return provider;
}

/** A sandbox with a mail server, and a provider that talks to it. */
export async function openMailSandbox(changes: Partial<SmtpOptions> = {}) {
  const sandbox = await openSandbox({ smtp: { port: 0 } });
  const server = sandbox.smtp;
  if (server === null) {
    throw new Error('the sandbox opened no mail server');
  }
  return { sandbox, server, provider: openProvider(server.port, changes) };
}

export function oneEmail(changes: Partial<OneEmail> = {}): OneEmail {
  return {
    from: { email: 'shop@example.com', name: 'Shop' },
    replyTo: null,
    to: { email: 'ana@example.com', name: 'Ana' },
    subject: 'Hello',
    html: '<p>Good morning</p>',
    text: 'Good morning',
    unsubscribeUrl: 'https://example.com/t/u/token',
    reference: { runId: newId(), messageN: 7, dispatchN: 3, attempt: 1 },
    ...changes,
  };
}

/** A socket on which a test plays the server. */
export interface Peer {
  write(...lines: string[]): void;
  /** Writes no line end. */
  writePart(text: string): void;
  /** Writes a line that never ends, until the client leaves. */
  drip(): Promise<void>;
  /** Resolves with all that came up to and with a text. */
  until(text: string): Promise<string>;
  /** Ends the connection after what was written. */
  end(): void;
  /** Breaks the connection. */
  cut(): void;
}

/** A server whose every connection is played by the test. */
export async function openPlayedServer(play: (peer: Peer, n: number) => Promise<void>) {
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // Ends that the client makes are seen by what the provider answers.
    socket.on('error', () => undefined);
    connections += 1;
    play(peerOf(socket), connections).catch(() => socket.destroy());
  });
  const port = await listen(server);
  running.push({
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) {
          socket.destroy();
        }
      }),
  });
  return { port, connections: () => connections };
}

/** Plays the server up to the point where the message is asked for. */
export async function greet(peer: Peer): Promise<void> {
  peer.write('220 played ESMTP');
  await peer.until('\r\n');
  peer.write('250 played');
}

export async function takeEnvelope(peer: Peer): Promise<void> {
  for (const command of ['MAIL FROM', 'RCPT TO']) {
    await peer.until(command);
    await peer.until('\r\n');
    peer.write('250 OK');
  }
  await peer.until('DATA\r\n');
}

/** Takes one whole message. */
export async function takeMessage(peer: Peer): Promise<void> {
  await takeEnvelope(peer);
  peer.write('354 Go on');
  await peer.until('\r\n.\r\n');
  peer.write('250 OK');
}

function peerOf(socket: Socket): Peer {
  let received = '';
  let isOver = false;
  let arrived = () => {};
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
    arrived();
  });
  socket.on('close', () => {
    isOver = true;
    arrived();
  });
  return {
    writePart: (text) => void socket.write(text),
    async drip() {
      for await (const _ of setInterval(100)) {
        if (isOver) {
          return;
        }
        socket.write('2');
      }
    },
    write: (...lines) => void socket.write(lines.map((line) => `${line}\r\n`).join('')),
    end: () => void socket.end(),
    cut: () => void socket.resetAndDestroy(),
    async until(text) {
      let at = received.indexOf(text);
      while (at === -1) {
        if (isOver) {
          throw new Error(`the client left before ${text}`);
        }
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
        at = received.indexOf(text);
      }
      const found = received.slice(0, at + text.length);
      received = received.slice(found.length);
      return found;
    },
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
}
