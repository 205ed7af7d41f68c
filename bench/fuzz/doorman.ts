import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';

const Orders = {
  facts: z.object({ path: z.string() }),
  token: z.object({ permission: z.string().nullable() }),
  signature: z.object({ url: z.string(), body: z.base64() }),
};

/** What the fuzzer's process asks for besides the API. */
export interface Services {
  /** A valid token for the next case. */
  token(permission: string | null): Promise<string>;
  /** The path parameters of a thing there is, for an operation's path. */
  facts(path: string): Promise<object>;
  /** The headers of a webhook as its vendor signs it. */
  signature(post: { url: string; body: Buffer }): object;
  /** A case has replaced the keys that sign tokens. */
  keysChanged(): Promise<void>;
}

/** Answers the fuzzer's process over HTTP, where its hooks ask. */
export async function openDoor(
  services: Services,
): Promise<{ url: string; close(): Promise<void> }> {
  const answers = new Map<string, (order: unknown) => Promise<object>>([
    [
      '/token',
      async (order) => ({ token: await services.token(Orders.token.parse(order).permission) }),
    ],
    ['/facts', async (order) => services.facts(Orders.facts.parse(order).path)],
    [
      '/signature',
      async (order) => {
        const { url, body } = Orders.signature.parse(order);
        return services.signature({ url, body: Buffer.from(body, 'base64') });
      },
    ],
    [
      '/keys',
      async () => {
        await services.keysChanged();
        return {};
      },
    ],
  ]);
  const server = createServer((request, response) => {
    const answer = async () => {
      const order: unknown = JSON.parse(await text(request));
      response.end(JSON.stringify(await answers.get(request.url ?? '')?.(order)));
    };
    answer().catch((error: unknown) => {
      process.stderr.write(`the doorman failed: ${String(error)}\n`);
      response.writeHead(500).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('The door has no port');
  }
  return {
    url: `http://127.0.0.1:${address.port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
