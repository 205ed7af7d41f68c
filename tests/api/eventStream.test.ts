import { eventStream, within, type StreamEvent } from '../../api/eventStream';

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

test('what is late may be waited for again', async () => {
  let resolve: (value: number) => void = () => undefined;
  const result = new Promise<number>((done) => {
    resolve = done;
  });
  await expect(within(result, 1)).resolves.toBe('late');
  resolve(7);
  await expect(within(result, 60_000)).resolves.toBe(7);
});
