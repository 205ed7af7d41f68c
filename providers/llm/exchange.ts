import { LRUCache } from 'lru-cache';
import OpenAI, { APIError } from 'openai';
import { LlmAttemptError } from '../../domain/llm/failures';
import { classify, type AttemptSign } from './classify';
import type { CallClock } from './clock';
import { isFields, textOf } from './fields';
import type { ReplyParts } from './replies';
import type { Body } from './requests';
import type { CallOptions, LlmCredentials } from './types';
import { codeOf, NotConnected, Unanswered, WireAnswer, type Wire } from './wire';

/** One call, whichever capability it is for. */
export interface Exchange {
  readonly path: string;
  /** Null for GET. */
  readonly body: Body | null;
  readonly model: string;
  readonly prompt: readonly string[];
  readonly credentials: LlmCredentials;
  readonly options: Pick<CallOptions, 'signal' | 'timeoutMs'> & Partial<CallOptions>;
}

/** The vendor's client for each key, over our own connections. */
export class Clients {
  // Making one reads the environment and builds a hundred objects; a key is used thousands of times.
  private readonly clients = new LRUCache<string, OpenAI>({ max: 1_000 });

  constructor(private readonly wire: Wire) {}

  /** Sends the call; resolves with the head of its answer. */
  async open({ path, body, credentials }: Exchange, signal: AbortSignal): Promise<WireAnswer> {
    const client = this.clientOf(credentials);
    const answer = await (
      body === null ? client.get(path, { signal }) : client.post(path, { body, signal })
    ).asResponse();
    if (!(answer instanceof WireAnswer)) {
      throw new TypeError('an answer that did not come by our wire');
    }
    return answer;
  }

  private clientOf({ baseUrl, apiKey }: LlmCredentials): OpenAI {
    const name = `${baseUrl}\n${apiKey}`;
    const found = this.clients.get(name);
    if (found !== undefined) {
      return found;
    }
    const client = new OpenAI({
      baseURL: baseUrl,
      apiKey,
      // What is not given is looked for in the environment.
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
      maxRetries: 0,
      // Each call has limits of its own.
      timeout: 3_600_000,
      logLevel: 'off',
      fetch: this.wire.fetch,
    });
    this.clients.set(name, client);
    return client;
  }
}

/** Carries why there is no answer to where it is classified. */
export class Sign extends Error {
  constructor(readonly sign: AttemptSign) {
    super(sign.is);
  }
}

export function fail(sign: AttemptSign): never {
  throw new Sign(sign);
}

/** What went wrong, classified: all that leaves this folder. */
export function attemptError(
  error: unknown,
  { model, prompt, credentials }: Exchange,
  clock: CallClock,
  parts: ReplyParts,
): LlmAttemptError {
  const sign = signOf(error, clock, parts);
  const failure = classify(sign, {
    model,
    now: Date.now(),
    unspeakable: { apiKey: credentials.apiKey, prompt },
  });
  return new LlmAttemptError(
    failure,
    parts.generationId,
    parts.begun({ isSaid: sign.is === 'said' }),
  );
}

function signOf(error: unknown, clock: CallClock, parts: ReplyParts): AttemptSign {
  if (error instanceof Sign) {
    return error.sign;
  }
  const hadBegun = parts.hasContent;
  if (clock.late !== null) {
    return { is: 'late', limit: clock.late, hadBegun };
  }
  if (error instanceof APIError && error.status !== undefined) {
    const { status, headers, error: body, message } = error;
    // What is no JSON is in the message, behind the status.
    const told = body === undefined ? message.replace(/^\d{3} /, '') : { error: body };
    return {
      is: 'said',
      status,
      header: (name) => headers?.get(name) ?? null,
      body: told,
      hadBegun,
    };
  }
  const cause = error instanceof APIError ? error.cause : error;
  if (cause instanceof NotConnected) {
    return { is: 'notConnected', code: cause.code };
  }
  return {
    is: 'cut',
    code: codeOf(cause),
    hasHead: !(cause instanceof Unanswered) && !(error instanceof APIError),
    hadBegun,
  };
}

/** An error in an answer of status 200. */
export function saidIn(headers: Headers, body: Body, hadBegun: boolean): AttemptSign {
  return { is: 'said', status: 200, header: (name) => headers.get(name), body, hadBegun };
}

export function isError(error: unknown): boolean {
  return isFields(error) || textOf(error) !== null;
}
