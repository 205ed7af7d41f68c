import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Call } from './calls';
import { answer, pause, readBody } from './exchange';
import type { CallFault } from './faults';
import type { Intake } from './intake';

export interface Reply {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** What is particular to one vendor's sending endpoint. */
export interface EndpointParts {
  vendor: string;
  intake: Intake;
  maxBodyBytes: number;
  /** The refusal of a body past the limit. */
  tooLarge: Reply;
  /** Takes the request in, or says why not; told of the fault it meets. */
  reply(request: IncomingMessage, body: Buffer, call: Call, fault: CallFault): Promise<Reply>;
  /** Headers of every answer. */
  headers?(reply: Reply): Record<string, string>;
}

export type SendingEndpoint = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** A sending endpoint of any vendor: every call is logged, and meets the faults switched on. */
export function createSendingEndpoint(parts: EndpointParts): SendingEndpoint {
  const { calls, faults, closing } = parts.intake;

  return async (request, response) => {
    const call = calls.begin(parts.vendor, parts.intake.mode === 'inbox');
    const body = await readBody(request, parts.maxBodyBytes);
    if (body.kind === 'aborted') {
      calls.cut(call, 'aborted');
      return;
    }
    if (body.kind === 'tooLarge') {
      send(call, response, parts.tooLarge, { connection: 'close' });
      return;
    }
    const fault = faults.decide(body.bytes);
    if (fault.name !== null) {
      call.fault = fault.name;
    }
    if (fault.name === 'hang') {
      calls.cut(call, 'hung');
      closing.addEventListener('abort', () => request.socket.destroy(), { once: true });
      return;
    }
    if (fault.name === 'dropBeforeAccept') {
      cut(call, request);
      return;
    }
    const reply = await parts.reply(request, body.bytes, call, fault);
    if (fault.name === 'dropAfterAccept' && call.messageId !== null) {
      cut(call, request);
      return;
    }
    if (fault.latencyMs > 0) {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      await pause(fault.latencyMs, AbortSignal.any([closing, gone.signal]));
    }
    if (response.destroyed) {
      calls.cut(call, 'aborted');
      return;
    }
    send(call, response, reply);
  };

  function cut(call: Call, request: IncomingMessage): void {
    calls.cut(call, 'dropped');
    request.socket.destroy();
  }

  function send(
    call: Call,
    response: ServerResponse,
    reply: Reply,
    headers: Record<string, string> = {},
  ): void {
    calls.answered(call, reply.status);
    answer(response, reply.status, reply.body, {
      ...parts.headers?.(reply),
      ...reply.headers,
      ...headers,
    });
  }
}
