import { Readable } from 'node:stream';
import type { ApiContext } from './context';

/** One event of a stream: its data is JSON. */
export interface StreamEvent {
  readonly event: string;
  readonly data: unknown;
}

/** What makes a stream come through: compression and proxies would hold it back. */
export const eventStreamHeaders = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
} as const;

// Proxies usually give up on a connection on which nothing came for a minute.
const keepAliveMs = 15_000;

/** The events as the body of an answer (text/event-stream), with comments where none comes for long. */
export function eventStream(events: AsyncIterator<StreamEvent>, silenceMs = keepAliveMs): Readable {
  return Readable.from(lines(events, silenceMs), { objectMode: false });
}

async function* lines(
  events: AsyncIterator<StreamEvent>,
  silenceMs: number,
): AsyncGenerator<string> {
  try {
    let next = events.next();
    for (;;) {
      const got = await within(next, silenceMs);
      if (got === 'late') {
        yield ': still here\n\n';
      } else if (got.done === true) {
        return;
      } else {
        yield `event: ${got.value.event}\ndata: ${JSON.stringify(got.value.data)}\n\n`;
        next = events.next();
      }
    }
  } finally {
    // Whoever left in the middle of them. What comes of it nobody hears any more.
    void events.return?.().catch(() => undefined);
  }
}

/** The result, or `late` when it takes longer; it may be waited for again. */
export async function within<T>(result: Promise<T>, ms: number): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, ms, 'late');
  });
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Aborted, with the reason, when the caller leaves before the answer is complete. */
export function callerSignal({ res }: Pick<ApiContext, 'res'>, reason: unknown): AbortSignal {
  const controller = new AbortController();
  const look = () => {
    if (!res.writableFinished) {
      controller.abort(reason);
    }
  };
  res.once('close', look);
  // Whoever left while the request was read is not told of again.
  if (res.destroyed) {
    look();
  }
  return controller.signal;
}
