import { once } from 'node:events';
import { createServer, request } from 'node:http';

/** A server in front of another one, as in production: it has the public address. */
export interface Proxy {
  url: string;
  /** Where to, with the port; posts before it is set are answered 502. */
  target: string | null;
  close(): Promise<void>;
}

export async function startProxy(): Promise<Proxy> {
  const server = createServer((incoming, answer) => {
    if (proxy.target === null) {
      answer.writeHead(502).end();
      return;
    }
    const { hostname, port } = new URL(proxy.target);
    const passed = request(
      {
        hostname,
        port,
        path: incoming.url,
        method: incoming.method,
        // The host is the inner one, as many proxies set it.
        headers: { ...incoming.headers, host: `${hostname}:${port}` },
      },
      (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(answer);
      },
    );
    passed.on('error', () => answer.destroy());
    incoming.pipe(passed);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('The proxy listens on no port');
  }
  const proxy: Proxy = {
    url: `http://127.0.0.1:${address.port}`,
    target: null,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
