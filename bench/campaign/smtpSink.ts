import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/**
 * A mail server that takes everything and keeps nothing but its count, in a process of its own: a
 * full one would be what is measured. Answers /api/stats and DELETE /api/messages as the sandbox does.
 */
function main(): void {
  let messages = 0;
  let firstCallAt: string | null = null;
  let lastCallAt: string | null = null;
  const take = () => {
    messages += 1;
    lastCallAt = new Date().toISOString();
    firstCallAt ??= lastCallAt;
  };
  const smtp = createServer((socket) => serve(socket, take));
  const http = createHttpServer((request, response) => {
    request.resume();
    if (request.method === 'DELETE') {
      [messages, firstCallAt, lastCallAt] = [0, null, null];
    }
    response.end(
      JSON.stringify({ accepted: messages, delivered: messages, firstCallAt, lastCallAt }),
    );
  });
  smtp.listen(0, '127.0.0.1', () => {
    http.listen(0, '127.0.0.1', () => {
      process.send?.({ smtpPort: portOf(smtp.address()), httpPort: portOf(http.address()) });
    });
  });
  process.on('disconnect', () => process.exit(0));
}

/** What the sink says when it listens. */
export interface SinkPorts {
  smtpPort: number;
  httpPort: number;
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

// RFC 5321: the end of a message is a dot on a line of its own.
const endOfMessage = '\r\n.\r\n';

function serve(socket: Socket, take: () => void): void {
  let isInMessage = false;
  let buffered = '';
  socket.setNoDelay(true);
  socket.setEncoding('latin1');
  socket.on('error', () => socket.destroy());
  socket.write('220 sink ESMTP\r\n');
  socket.on('data', (text: string) => {
    buffered += text;
    for (;;) {
      if (isInMessage) {
        const end = buffered.indexOf(endOfMessage);
        if (end === -1) {
          // What may be the beginning of the end stays.
          buffered = buffered.slice(-endOfMessage.length);
          return;
        }
        buffered = buffered.slice(end + endOfMessage.length);
        isInMessage = false;
        take();
        socket.write('250 2.0.0 taken\r\n');
        continue;
      }
      const end = buffered.indexOf('\r\n');
      if (end === -1) {
        return;
      }
      const command = buffered.slice(0, 4).toUpperCase();
      buffered = buffered.slice(end + 2);
      isInMessage = command === 'DATA';
      socket.write(replies[command] ?? '250 2.0.0 ok\r\n');
      if (command === 'QUIT') {
        socket.end();
        return;
      }
    }
  });
}

const replies: Record<string, string> = {
  EHLO: '250-sink\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n',
  AUTH: '235 2.7.0 welcome\r\n',
  DATA: '354 go on\r\n',
  QUIT: '221 2.0.0 bye\r\n',
};

main();
