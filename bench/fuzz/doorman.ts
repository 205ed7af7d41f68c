import { createServer } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import type { AccessTokens } from '../../lib/accessTokens';
import type { Residents } from './residents';

const TokenOrder = z.object({ permission: z.string().nullable() });

/**
 * Answers the fuzzer's process: case by case with a token for what the case needs, and reads the
 * signing keys anew when a case has replaced them.
 */
export async function openDoor(
  residents: Residents,
  accessTokens: Pick<AccessTokens, 'reload'>,
): Promise<{ url: string; close(): Promise<void> }> {
  const answers = new Map<string, (order: unknown) => Promise<object>>([
    [
      '/token',
      async (order: unknown) => ({
        token: await residents.tokenFor(TokenOrder.parse(order).permission),
      }),
    ],
    [
      '/keys',
      async () => {
        await accessTokens.reload();
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
