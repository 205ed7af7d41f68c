import { once } from 'node:events';
import { createServer } from 'node:http';
import { z } from 'zod';
import { createApiCaller } from '../../workers/launch/demo/apiCaller';

const Created = z.object({ id: z.string() });

async function withAnswers<T>(
  answers: { status: number; body: unknown }[],
  work: (baseUrl: string, asked: () => number) => Promise<T>,
): Promise<T> {
  let asked = 0;
  const server = createServer((_request, response) => {
    const answer = answers[Math.min(asked, answers.length - 1)];
    asked += 1;
    response.writeHead(answer?.status ?? 500).end(JSON.stringify(answer?.body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    return await work(`http://127.0.0.1:${port}`, () => asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const request = { method: 'POST', path: '/campaigns', body: {}, key: 'demo' } as const;

test('waits for a request that was cut off and holds its key', async () => {
  const held = { status: 409, body: { code: 'requestInProgress' } };
  const made = { status: 201, body: { data: { id: 'c' } } };
  await withAnswers([held, held, made], async (baseUrl, asked) => {
    expect(await createApiCaller(baseUrl).call(request, Created)).toEqual({ id: 'c' });
    expect(asked()).toBe(3);
  });
});

test('takes any other conflict for an answer', async () => {
  const other = { status: 409, body: { code: 'idempotencyKeyReused' } };
  await withAnswers([other], async (baseUrl, asked) => {
    await expect(createApiCaller(baseUrl).call(request, Created)).rejects.toThrow(/answered 409/);
    expect(asked()).toBe(1);
  });
});
