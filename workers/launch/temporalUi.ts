import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import { listen } from '../../lib/httpProcess';

const settingsPath = '/api/v1/settings';

/**
 * The UI of our own development server on its usual port, passed through but for its settings: the
 * browser sends the session of the codec server along, and whoever has none is told where to sign in.
 * The image of the UI has variables for that, the development server has not, and everybody would
 * have to set it in their browser.
 */
export async function serveTemporalUi(options: {
  port: number;
  upstreamPort: number;
  /** Where people sign in. */
  codecUrl: string;
}): Promise<Server> {
  const { port, upstreamPort, codecUrl } = options;
  const server = createServer((incoming, answer) => {
    const { 'accept-encoding': _, ...headers } = incoming.headers;
    const isSettings = incoming.url?.split('?')[0] === settingsPath;
    const passed = request(
      {
        host: '127.0.0.1',
        port: upstreamPort,
        method: incoming.method,
        path: incoming.url,
        headers: isSettings ? headers : incoming.headers,
      },
      (reply) => {
        if (isSettings && reply.statusCode === 200) {
          settingsOf(reply, codecUrl).then(
            (body) => {
              answer.writeHead(200, { 'Content-Type': 'application/json' });
              answer.end(body);
            },
            () => answer.destroy(),
          );
          return;
        }
        answer.writeHead(reply.statusCode ?? 502, reply.headers);
        reply.pipe(answer);
        reply.on('error', () => answer.destroy());
      },
    );
    passed.on('error', () => {
      if (answer.headersSent) {
        answer.destroy();
        return;
      }
      answer.writeHead(502, { 'Content-Type': 'text/plain' });
      answer.end('The Temporal server is not up.\n');
    });
    // Whoever asks long and leaves does not keep the server waiting.
    answer.on('close', () => passed.destroy());
    incoming.pipe(passed);
  });
  return listen(server, { port, host: '127.0.0.1' });
}

async function settingsOf(reply: IncomingMessage, codecUrl: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of reply) {
    chunks.push(Buffer.from(chunk));
  }
  const settings: { Codec?: Record<string, unknown> } = JSON.parse(
    Buffer.concat(chunks).toString('utf8'),
  );
  const codec = {
    ...settings.Codec,
    IncludeCredentials: true,
    DefaultErrorMessage: 'Encrypted: sign in to see it, at',
    DefaultErrorLink: codecUrl,
  };
  return JSON.stringify({ ...settings, Codec: codec });
}
