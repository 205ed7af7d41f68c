import { once } from 'node:events';
import { createServer, request, type ServerResponse } from 'node:http';
import { callerSignal, eventStream, within, type StreamEvent } from '../../api/eventStream';

/** Events that come when they are let go. */
function slowly(...events: StreamEvent[]) {
  let go: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  return {
    go,
    events: (async function* () {
      await gone;
      yield* events;
    })(),
  };
}

test('writes an event as one line of JSON, whatever is in it', async () => {
  const { go, events } = slowly({ event: 'text', data: { text: 'one\n\nevent: done\r\n' } });
  go();
  const text = (await eventStream(events).toArray()).join('');
  expect(text).toBe(`event: text\ndata: ${JSON.stringify({ text: 'one\n\nevent: done\r\n' })}\n\n`);
  expect(text.split('\n\n')).toHaveLength(2);
});

test('writes comments while nothing comes, and what comes then', async () => {
  const { go, events } = slowly({ event: 'done', data: 1 });
  const parts: string[] = [];
  for await (const part of eventStream(events, 5)) {
    parts.push(String(part));
    if (parts.length === 3) {
      go();
    }
  }
  expect(parts.slice(0, 3)).toEqual(Array.from({ length: 3 }, () => ': still here\n\n'));
  expect(parts.at(-1)).toBe('event: done\ndata: 1\n\n');
});

test('an error of the events is one of the stream', async () => {
  const events = (async function* (): AsyncGenerator<StreamEvent> {
    yield { event: 'text', data: 1 };
    throw new Error('broken');
  })();
  await expect(eventStream(events).toArray()).rejects.toThrow('broken');
});

test('whoever leaves before it has read all closes the events', async () => {
  let isClosed = false;
  const events = (async function* (): AsyncGenerator<StreamEvent> {
    try {
      for (;;) {
        yield { event: 'text', data: 'x'.repeat(100_000) };
      }
    } finally {
      isClosed = true;
    }
  })();
  const body = eventStream(events);
  body.once('readable', () => body.destroy());
  await once(body, 'close');
  expect(isClosed).toBe(true);
});

test('what is late may be waited for again', async () => {
  let resolve: (value: number) => void = () => undefined;
  const result = new Promise<number>((done) => {
    resolve = done;
  });
  await expect(within(result, 1)).resolves.toBe('late');
  resolve(7);
  await expect(within(result, 60_000)).resolves.toBe(7);
});

test('whoever left before anybody looked has left', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : null;
    const asked = request({ port, host: '127.0.0.1' });
    asked.on('error', () => undefined).end();
    const res = await new Promise<ServerResponse>((resolve) => {
      server.once('request', (_, answer) => resolve(answer));
    });
    expect(callerSignal({ res }, 'gone').aborted).toBe(false);
    asked.destroy();
    await once(res, 'close');
    expect(callerSignal({ res }, 'gone')).toMatchObject({ aborted: true, reason: 'gone' });
  } finally {
    server.close();
  }
});
