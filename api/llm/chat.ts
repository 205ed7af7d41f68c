import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { AppError, invalidField } from '../../domain/errors';
import { AskModel, ModelAnswer } from '../../domain/llm/chat/schema';
import type { ChatAnswer, ChatAsk, ChatEvent } from '../../gateway/types';
import type { Logger } from '../../lib/logger';
import { json } from '../bodies';
import {
  callerSignal,
  eventStream,
  eventStreamHeaders,
  within,
  type StreamEvent,
} from '../eventStream';
import { problemOf } from '../middleware/problem';
import { eitherAnswer, rawAnswer, rawReply, reply, route } from '../route';

// Pictures come in the body; a whole conversation has room for some.
const bodyBytes = 4 * 1024 * 1024;

const deadlineMs = 120_000;

// So long a stream waits for its first piece before it begins: until then it may still be refused
// by its status.
const headMs = 10_000;

const chat = route({
  method: 'post',
  path: '/llm/chat',
  name: 'askModel',
  summary: 'Ask a language model, by whichever key can serve',
  description:
    'With `stream` the answer comes as it is written (text/event-stream): events `text` with a piece of it, then `done` with all that the JSON answer holds, or `error` with a problem. An answer that breaks off in the middle ends with `error`; nothing of it is repeated. Whoever closes the connection ends the call. With an Idempotency-Key, which takes no `stream`, the call is carried out even so, and its answer is kept sealed for whoever repeats the request; without one nothing of it is kept. At temperature 0 a repeated question costs nothing while its answer is remembered.',
  tags: ['llm'],
  permission: 'llm:use',
  body: json(AskModel, bodyBytes),
  idempotent: 'sealed',
  answers: { 200: eitherAnswer(ModelAnswer, rawAnswer(eventStreamHeaders['Content-Type'])) },
  problems: ['llmBudgetSpent', 'llmFailed', 'llmTooSlow', 'llmUnavailable'],
  async handler({ body, context, deps, idempotencyKey, requestId, tenantId, userId }) {
    const ask = askOf(body, { tenantId, userId });
    if (idempotencyKey !== undefined) {
      requireWhole(body);
      // Whoever leaves may ask again, and gets what came of it.
      return whole(await deps.llm.gateway.chat(ask));
    }
    const signal = callerSignal(context, callerLeft());
    if (!body.stream) {
      return whole(await deps.llm.gateway.chat(ask, { signal }));
    }
    const events = deps.llm.gateway.stream(ask, { signal })[Symbol.asyncIterator]();
    const first = events.next();
    await within(first, headMs);
    const told = tell(first, events, { requestId, logger: deps.logger });
    return rawReply(200, eventStream(told), eventStreamHeaders);
  },
});

export const llmChatRoutes = [chat];

function requireWhole({ stream }: AskModel): void {
  if (stream) {
    throw invalidField(
      'stream',
      'notRepeatable',
      'What streams is not kept for an Idempotency-Key: ask for the whole answer, or without the key.',
    );
  }
}

function whole(answer: ChatAnswer) {
  return reply(200, present(answer), { headers: headersOf(answer) });
}

function askOf(
  body: AskModel,
  { tenantId, userId }: { tenantId: string; userId: string },
): ChatAsk {
  return {
    asker: { tenantId, userId, feature: body.feature, workflowId: null },
    model: body.model ?? null,
    fallbackModels: body.fallbackModels ?? null,
    messages: body.messages,
    temperature: body.temperature ?? null,
    maxTokens: body.maxTokens,
    tools: body.tools,
    schema: body.schema ?? null,
    priority: 'interactive',
    conversation: body.conversation === undefined ? null : opaque(tenantId, body.conversation),
    // What streams to a caller cannot be taken back.
    consumer: body.stream ? 'raw' : 'buffered',
    deadlineMs,
    firstTokenMs: null,
  };
}

// It goes to the vendor: another tenant's conversation of the same name is another one, and a name
// may be somebody's.
function opaque(tenantId: string, conversation: string): string {
  return createHash('sha256').update(`${tenantId}\n${conversation}`).digest('hex').slice(0, 32);
}

async function* tell(
  first: Promise<IteratorResult<ChatEvent, unknown>>,
  events: AsyncIterator<ChatEvent>,
  { requestId, logger }: { requestId: string; logger: Logger },
): AsyncGenerator<StreamEvent, void, undefined> {
  try {
    for (let next = await first; next.done !== true; next = await events.next()) {
      yield eventOf(next.value);
    }
  } catch (error) {
    const known = error instanceof AppError ? error : 'internal';
    if (known === 'internal') {
      logger.error({ requestId, err: error }, 'stream failed');
    }
    yield { event: 'error', data: problemOfStream(known, requestId) };
  } finally {
    // However it ends, nothing is left open behind it.
    await events.return?.();
  }
}

function eventOf(event: ChatEvent): StreamEvent {
  switch (event.type) {
    case 'text':
      return { event: 'text', data: { text: event.text } };
    case 'done':
      return { event: 'done', data: present(event.answer) };
    case 'reset':
      throw new Error('A stream that cannot be taken back was to begin anew');
  }
}

// Its headers are out by then.
function problemOfStream(error: AppError | 'internal', requestId: string) {
  const seconds = error === 'internal' ? undefined : error.retryAfterSeconds;
  return {
    ...problemOf(error, requestId),
    ...(seconds === undefined ? {} : { retryAfterSeconds: seconds }),
  };
}

function present(answer: ChatAnswer): z.output<typeof ModelAnswer> {
  const { promptTokens, completionTokens, cachedTokens, reasoningTokens } = answer.usage;
  return {
    id: answer.callId,
    model: answer.model,
    text: answer.text,
    json: answer.json ?? null,
    toolCalls: answer.toolCalls.map(({ id, name, arguments: written }) => ({
      id,
      name,
      arguments: written,
    })),
    finishReason: answer.finishReason,
    usage: { promptTokens, completionTokens, cachedTokens, reasoningTokens },
    costMicros: answer.costMicros,
    attempts: answer.attempts,
  };
}

function headersOf({ attempts, model, account }: ChatAnswer): Record<string, string> {
  return {
    'X-Carillon-Attempts': String(attempts),
    'X-Carillon-Model': inHeader(model),
    ...(account === null ? {} : { 'X-Carillon-Account': inHeader(account) }),
  };
}

// Names are people's and vendors': a header takes visible ASCII.
function inHeader(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}

function callerLeft(): AppError {
  return new AppError('malformed', 'requestAborted', 'The caller left before there was an answer.');
}
