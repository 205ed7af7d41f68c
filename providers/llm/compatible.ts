import type { ChatCall, ChatPiece, ChatReply } from '../../domain/llm/types';
import { CallClock } from './clock';
import { attemptError, Clients, fail, isError, saidIn, Sign, type Exchange } from './exchange';
import { countOf, fieldsOf, isFields, listOf, parsed, textOf } from './fields';
import { choiceOf, nameOf, ReplyParts, usageOf } from './replies';
import { promptTexts, type Body } from './requests';
import { StreamedReply } from './streamedReply';
import type { CallOptions, LlmCredentials, LlmProvider } from './types';
import { TooLong, type Wire } from './wire';

/** What every endpoint that speaks as OpenAI does has in common; a vendor adds what it has beside it. */
export class CompatibleEndpoint {
  private readonly clients: Clients;

  constructor(
    wire: Wire,
    private readonly bodyOf: (call: ChatCall, credentials: LlmCredentials) => Body,
  ) {
    this.clients = new Clients(wire);
  }

  chat: LlmProvider['chat'] = (call, credentials, options) => {
    const exchange = chatExchange(call, this.bodyOf(call, credentials), credentials, options);
    return this.whole(
      exchange,
      (answer, { headers }) => replyIn(answer, call.model, headers),
      wholeBytesPerToken * call.maxTokens + spareBytes,
    );
  };

  async *stream(
    call: ChatCall,
    credentials: LlmCredentials,
    options: CallOptions,
  ): AsyncGenerator<ChatPiece, void, undefined> {
    const body = {
      ...this.bodyOf(call, credentials),
      stream: true,
      stream_options: { include_usage: true },
    };
    const exchange = chatExchange(call, body, credentials, options);
    const clock = new CallClock(options);
    const parts = new ReplyParts();
    let leftBytes = streamedBytesPerToken * call.maxTokens + spareBytes;
    let isOver = false;
    try {
      const answer = await this.clients.open(exchange, clock.signal);
      parts.promised(answer.headers.get('x-generation-id'));
      const pieces: AsyncIterator<Uint8Array> = answer.wire.body[Symbol.asyncIterator]();
      const reader = new StreamedReply(parts, answer.headers, call.model, clock);
      for (;;) {
        const { value, done } = await pieces.next();
        if (done === true) {
          throw new Sign({
            is: 'unreadable',
            what: 'the stream ended without its mark',
            hadBegun: parts.hasContent,
          });
        }
        leftBytes -= value.length;
        if (leftBytes < 0) {
          throw tooLong(parts);
        }
        for (const piece of reader.take(value)) {
          if (piece.type === 'end') {
            // Whoever has the end may never ask on: nothing is left to be done after it.
            clock.end();
            isOver = true;
            void drain(pieces, clock);
          }
          yield piece;
          if (isOver) {
            return;
          }
        }
        reader.waits();
      }
    } catch (error) {
      throw attemptError(error, exchange, clock, parts);
    } finally {
      if (!isOver) {
        clock.end();
        clock.abort();
      }
    }
  }

  embed: LlmProvider['embed'] = ({ model, inputs, dimensions }, credentials, options) => {
    const body = {
      model,
      input: inputs,
      // Without it the client's default is base64, which some vendors answer with an empty list.
      encoding_format: 'float',
      ...(dimensions === null ? {} : { dimensions }),
    };
    const exchange = { path: '/embeddings', body, model, prompt: inputs, credentials, options };
    return this.whole(exchange, (answer, { generationId }) => {
      const vectors = listOf(answer['data'])
        .map(fieldsOf)
        .toSorted((a, b) => countOf(a['index']) - countOf(b['index']))
        .map(({ embedding }) => listOf(embedding).filter((n) => typeof n === 'number'));
      if (vectors.length !== inputs.length || vectors.some((vector) => vector.length === 0)) {
        return fail({ is: 'empty' });
      }
      return {
        vectors,
        model: nameOf(answer['model']) ?? model,
        usage: usageOf(answer['usage']),
        generationId: nameOf(answer['id']) ?? generationId,
      };
    });
  };

  /** Pictures, by whichever path the vendor has them. */
  image(
    path: string,
    body: Body & { model: string; prompt: string },
    credentials: LlmCredentials,
    options: CallOptions,
  ): ReturnType<LlmProvider['image']> {
    const { model, prompt } = body;
    const exchange = { path, body, model, prompt: [prompt], credentials, options };
    return this.whole(exchange, (answer, { generationId }) => {
      const images = listOf(answer['data'])
        .map(fieldsOf)
        .flatMap((image) => {
          const base64 = textOf(image['b64_json']);
          return base64 === null
            ? []
            : [{ base64, mediaType: textOf(image['media_type']) ?? 'image/png' }];
        });
      if (images.length === 0) {
        return fail({ is: 'empty' });
      }
      return {
        images,
        model: nameOf(answer['model']) ?? model,
        usage: usageOf(answer['usage']),
        generationId: nameOf(answer['id']) ?? generationId,
      };
    });
  }

  /** A question that costs nothing. */
  get<T>(
    path: string,
    credentials: LlmCredentials,
    options: Pick<CallOptions, 'signal' | 'timeoutMs'>,
    read: (answer: Body) => T,
  ): Promise<T> {
    return this.whole({ path, body: null, model: '', prompt: [], credentials, options }, read);
  }

  /** Asks, and reads the whole answer. */
  private async whole<T>(
    exchange: Exchange,
    read: (answer: Body, head: { headers: Headers; generationId: string | null }) => T,
    maxBytes = longestBytes,
  ): Promise<T> {
    const clock = new CallClock(exchange.options);
    const parts = new ReplyParts();
    try {
      const answer = await this.clients.open(exchange, clock.signal);
      clock.begun();
      parts.promised(answer.headers.get('x-generation-id'));
      const body = parsed(await answer.textUpTo(maxBytes));
      if (!isFields(body)) {
        throw new Sign({ is: 'unreadable', what: 'the answer is no JSON', hadBegun: false });
      }
      parts.takeHead(body);
      if (isError(body['error'])) {
        throw new Sign(saidIn(answer.headers, body, false));
      }
      return read(body, { headers: answer.headers, generationId: parts.generationId });
    } catch (error) {
      throw attemptError(error instanceof TooLong ? tooLong(parts) : error, exchange, clock, parts);
    } finally {
      clock.end();
    }
  }
}

// Tokens are four bytes of text or so, and signs that are escaped several times as many. Of a stream
// each comes in a chunk of its own, with all that vendors repeat in them.
const wholeBytesPerToken = 64;
const streamedBytesPerToken = 1_024;
const spareBytes = 256 * 1024;
// Of pictures and vectors.
const longestBytes = 64 * 1024 * 1024;

function tooLong(parts: ReplyParts): Sign {
  return new Sign({
    is: 'unreadable',
    what: 'the answer is longer than was asked for',
    hadBegun: parts.hasContent,
  });
}

function replyIn(answer: Body, model: string, headers: Headers): ChatReply {
  const { message, finish_reason: finish, error } = choiceOf(answer);
  const parts = new ReplyParts();
  parts.takeHead(answer);
  parts.take(fieldsOf(message));
  parts.takeFinish(finish);
  if (finish === 'error' || isError(error)) {
    return fail(saidIn(headers, { error }, parts.hasContent));
  }
  const reply = parts.end(model);
  return typeof reply === 'string' ? fail({ is: reply }) : reply;
}

function chatExchange(
  call: ChatCall,
  body: Body,
  credentials: LlmCredentials,
  options: CallOptions,
): Exchange {
  const { model, messages } = call;
  return {
    path: '/chat/completions',
    body,
    model,
    prompt: promptTexts(messages),
    credentials,
    options,
  };
}

const drainMs = 1_000;

/** Reads on to the end, so that the connection serves the next call; nobody waits for it. */
async function drain(pieces: AsyncIterator<Uint8Array>, clock: CallClock): Promise<void> {
  const timer = setTimeout(() => clock.abort(), drainMs);
  try {
    while ((await pieces.next()).done !== true) {
      // Nothing follows the mark that anybody wants.
    }
  } catch {
    // The connection is gone, and with it what was to be saved.
  } finally {
    clearTimeout(timer);
  }
}
