import type { ServerResponse } from 'node:http';
import { answer as answerJson } from '../exchange';
import type { OpenRouterCall, OpenRouterCalls } from './calls';
import type { Refusal } from './errors';

const COMMENT = ': OPENROUTER PROCESSING\n\n';
const COMMENT_EVERY_MS = 500;

/** One call on its way to its answer; every one ends exactly once. */
export interface Exchange {
  readonly response: ServerResponse;
  readonly call: OpenRouterCall;
  /** False when the caller is gone, or the stand-in closes. */
  wait(delayMs: number): Promise<boolean>;
  answer(status: number, body: unknown, headers?: Record<string, string>): void;
  refuse(refusal: Refusal): void;
  /** Destroys the connection; what was written may not arrive. */
  cut(): void;
  /** Holds the connection open and says nothing more. */
  hold(): void;
  /** Begins a stream: its head and a comment. */
  beginStream(headers: Record<string, string>): void;
  /** Waits while it sends comments. */
  waitWithComments(delayMs: number): Promise<boolean>;
  write(text: string): void;
  end(): void;
}

/** Makes exchanges that end when the stand-in does. */
export function createExchanges(calls: OpenRouterCalls, closing: AbortSignal) {
  const open = new Set<ServerResponse>();
  closing.addEventListener(
    'abort',
    () => {
      for (const response of open) {
        response.destroy();
      }
    },
    { once: true },
  );

  return (response: ServerResponse, call: OpenRouterCall): Exchange => {
    open.add(response);
    let onGone: (() => void) | null = null;
    response.once('close', () => {
      open.delete(response);
      calls.end(call, 'aborted', Date.now());
      onGone?.();
    });

    const exchange: Exchange = {
      response,
      call,
      wait(delayMs) {
        if (delayMs === 0 || response.destroyed) {
          return Promise.resolve(!response.destroyed);
        }
        return new Promise((resolve) => {
          const timer = setTimeout(() => {
            onGone = null;
            resolve(true);
          }, delayMs);
          onGone = () => {
            clearTimeout(timer);
            resolve(false);
          };
        });
      },
      answer(status, body, headers) {
        call.status = status;
        calls.end(call, 'answered', Date.now());
        if (typeof body === 'string') {
          response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
          response.end(body);
        } else {
          answerJson(response, status, body, headers);
        }
      },
      refuse({ status, body, headers }) {
        exchange.answer(status, body, headers);
      },
      cut() {
        calls.end(call, 'cut', Date.now());
        const { socket } = response;
        if (response.headersSent) {
          // What was written goes out first: a cut in the middle shows its beginning.
          socket?.end(() => socket.destroy());
        } else {
          socket?.resetAndDestroy();
        }
      },
      hold() {
        calls.end(call, 'hung', Date.now());
      },
      beginStream(headers) {
        call.status = 200;
        response.writeHead(200, {
          ...headers,
          'content-type': 'text/event-stream',
          'cache-control': 'no-cache',
        });
        response.write(COMMENT);
      },
      async waitWithComments(delayMs) {
        let left = delayMs;
        while (left > COMMENT_EVERY_MS) {
          if (!(await exchange.wait(COMMENT_EVERY_MS))) {
            return false;
          }
          response.write(COMMENT);
          left -= COMMENT_EVERY_MS;
        }
        return exchange.wait(left);
      },
      write: (text) => void response.write(text),
      end() {
        calls.end(call, 'answered', Date.now());
        response.end();
      },
    };
    return exchange;
  };
}
