import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';

/** A vendor that says everything it was told again, in each of its refusals. */
export interface Talkative {
  /** By HTTP: SendGrid, Twilio, Meta. */
  url: string;
  smtpPort: number;
  /** How many requests and attempts to log in were refused. */
  refusals: number;
  close(): Promise<void>;
}

/** Starts one: each of its answers is shaped as an error of all the vendors at once. */
export async function startTalkative(): Promise<Talkative> {
  const sockets = new Set<Socket>();
  const http = createHttpServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      vendor.refusals += 1;
      const heard = `${request.url} ${JSON.stringify(request.headers)} ${inClear(request.headers.authorization)} ${body}`;
      const code = 20003;
      response.writeHead(401, { 'Content-Type': 'application/json', 'X-Heard': encodeURI(heard) });
      response.end(
        JSON.stringify({
          errors: [{ message: heard, field: heard, help: heard }],
          error: { message: heard, type: 'OAuthException', code: 190, error_data: heard },
          code,
          message: heard,
          more_info: heard,
          status: 401,
        }),
      );
    });
  });
  const smtp = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.write('220 talkative ESMTP\r\n');
    socket.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\r\n').filter(Boolean)) {
        vendor.refusals += line.startsWith('AUTH') ? 1 : 0;
        socket.write(answerTo(line));
      }
    });
  });
  const vendor: Talkative = {
    url: `http://127.0.0.1:${await listen(http)}`,
    smtpPort: await listen(smtp),
    refusals: 0,
    async close() {
      http.closeAllConnections();
      sockets.forEach((socket) => socket.destroy());
      await Promise.all([http, smtp].map((server) => once(server.close(), 'close')));
    },
  };
  return vendor;
}

function answerTo(line: string): string {
  if (/^(EHLO|HELO)/i.test(line)) {
    return '250-talkative\r\n250 AUTH PLAIN\r\n';
  }
  if (/^AUTH/i.test(line)) {
    const given = Buffer.from(line.split(' ')[2] ?? '', 'base64')
      .toString()
      .replaceAll('\0', ' ');
    return `535 5.7.8 these are wrong: ${given} (${line})\r\n`;
  }
  return /^QUIT/i.test(line) ? '221 bye\r\n' : `530 5.7.0 ${line}\r\n`;
}

function inClear(authorization = ''): string {
  return Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString('latin1');
}

async function listen(server: {
  listen(port: number, host: string): unknown;
  address(): AddressInfo | string | null;
  once(event: 'listening', listener: () => void): unknown;
}): Promise<number> {
  const listening = new Promise<void>((resolve) => server.once('listening', resolve));
  server.listen(0, '127.0.0.1');
  await listening;
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('It listens on no port');
  }
  return address.port;
}
