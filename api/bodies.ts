import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { TextDecoder } from 'node:util';
import type { z } from 'zod';
import { AppError, dottedPath, invalid, maxProblems } from '../domain/errors';
import type { ApiContext } from './context';
import { fieldProblems } from './problems';
import { nestingDepth, textProblems } from './text';

/** A body that was read and checked. The digest is of its bytes, for the Idempotency-Key. */
export interface ReadBody<T> {
  readonly value: T;
  readonly digest: Buffer;
  /** Lets go of what holds the value, once the request is answered. */
  readonly release?: () => Promise<void>;
}

/** How a route reads its body, and what the OpenAPI document says of it. */
export interface BodyReader<T> {
  readonly contentTypes: readonly string[];
  /** The schema of the value, or of the bytes when no zod schema is behind it. */
  readonly schema: z.ZodType | null;
  readonly jsonSchema?: Readonly<Record<string, unknown>>;
  /** What the parts of a form may be. */
  readonly encoding?: Readonly<Record<string, { readonly contentType: string }>>;
  /** Whether no body at all will do; where it is not said, a JSON body that may be `{}` says it. */
  readonly mayBeMissing?: boolean;
  read(context: ApiContext): Promise<ReadBody<T>>;
}

export const jsonLimitBytes = 1024 * 1024;

const usualTimeoutMs = 30_000;

const jsonTypes = ['application/json', 'application/*+json'];

// Ours nest five deep at most; what lies deeper would only cost stack.
const maxDepth = 64;

/** A JSON body, of at most 1 MiB, that the schema accepts. No body at all is read as `{}`. */
export function json<T>(schema: z.ZodType<T>, limitBytes = jsonLimitBytes): BodyReader<T> {
  return {
    contentTypes: ['application/json'],
    schema,
    async read(context) {
      requireType(context, jsonTypes);
      const bytes = await readBytes(context, limitBytes);
      const parsed = schema.safeParse(parseJson(bytes));
      if (!parsed.success) {
        throw invalid(fieldProblems(parsed.error, 'unknownField'));
      }
      return { value: parsed.data, digest: digestOf(bytes) };
    },
  };
}

/** The bytes as they came, for what is signed or not JSON. */
export function bytes(options: {
  types: readonly string[];
  limitBytes: number;
}): BodyReader<Buffer> {
  return {
    contentTypes: options.types,
    schema: null,
    async read(context) {
      requireType(context, options.types);
      const value = await readBytes(context, options.limitBytes);
      return { value, digest: digestOf(value) };
    },
  };
}

/** For routes without a body: an empty one, or an empty object. */
export const emptyBody: BodyReader<undefined> = {
  contentTypes: ['application/json'],
  schema: null,
  async read(context) {
    if (context.method === 'GET' || context.method === 'HEAD') {
      return { value: undefined, digest: digestOf(Buffer.alloc(0)) };
    }
    requireType(context, jsonTypes);
    const given = await readBytes(context, jsonLimitBytes);
    const value = parseJson(given);
    const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [''];
    if (Array.isArray(value) || keys.length > 0) {
      throw invalid(
        keys.slice(0, maxProblems).map((key) => ({
          path: dottedPath([key]),
          code: 'unknownField',
          message: 'Is not a field here.',
        })),
      );
    }
    return { value: undefined, digest: digestOf(given) };
  },
};

/** Refuses a body, when there is one, that says it is of another type, or packed. */
export function requireType(context: ApiContext, types: readonly string[]): void {
  if (context.get('Content-Length') === '0' || !hasBody(context.req)) {
    return;
  }
  const encoding = context.get('Content-Encoding');
  if (encoding !== '' && encoding !== 'identity') {
    throw unsupported(`A body with Content-Encoding ${encoding} is not read here.`);
  }
  if (typeof context.is(...types) !== 'string') {
    throw unsupported(`Send the body as ${types.join(' or ')}.`);
  }
  const { charset } = context.request;
  if (charset !== '' && !/^utf-?8$/i.test(charset)) {
    throw unsupported('Send the body in UTF-8.');
  }
}

// RFC 9112 §6.3: only these two headers announce a body.
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

async function readBytes(context: ApiContext, limitBytes: number): Promise<Buffer> {
  if (Number(context.get('Content-Length')) > limitBytes) {
    throw tooLarge(limitBytes);
  }
  const chunks: Buffer[] = [];
  let length = 0;
  const late = lateness(context.state.bodyTimeoutMs ?? usualTimeoutMs);
  const parts = context.req.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await Promise.race([parts.next(), late.promise]);
      if (done === true) {
        return Buffer.concat(chunks);
      }
      const part = Buffer.from(value);
      length += part.length;
      if (length > limitBytes) {
        throw tooLarge(limitBytes);
      }
      chunks.push(part);
    }
  } catch (error) {
    if (error instanceof AppError && error.kind === 'tooSlow') {
      // What is still to come is not waited for.
      context.set('Connection', 'close');
    }
    throw error;
  } finally {
    late.stop();
  }
}

function lateness(timeoutMs: number): { promise: Promise<never>; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `The body did not come within ${timeoutMs / 1000} seconds.`;
      reject(new AppError('tooSlow', 'bodyTooSlow', message));
    }, timeoutMs);
  });
  promise.catch(() => {});
  return { promise, stop: () => clearTimeout(timer) };
}

function parseJson(body: Buffer): unknown {
  if (body.length === 0) {
    return {};
  }
  const text = decodeUtf8(body);
  if (nestingDepth(text) > maxDepth) {
    throw malformed('nestedTooDeep', `The JSON nests deeper than ${maxDepth} levels.`);
  }
  const value = jsonOf(text);
  const problems = textProblems(value);
  if (problems.length > 0) {
    throw invalid(problems);
  }
  return value;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed('malformedJson', 'The body is not valid JSON.', cause);
  }
}

function decodeUtf8(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw malformed('malformedText', 'The body is not valid UTF-8.', cause);
  }
}

function digestOf(body: Buffer): Buffer {
  return createHash('sha256').update(body).digest();
}

function malformed(code: string, message: string, cause?: unknown): AppError {
  return new AppError('malformed', code, message, { cause });
}

function unsupported(message: string): AppError {
  return new AppError('unsupportedMediaType', 'unsupportedMediaType', message);
}

/** The body is over its limit. */
export function tooLarge(limitBytes: number): AppError {
  return new AppError(
    'tooLarge',
    'bodyTooLarge',
    `The body may have at most ${limitBytes.toLocaleString('en')} bytes.`,
  );
}
