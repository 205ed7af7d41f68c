import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import { AppError, invalid, invalidField, type FieldProblem } from '../domain/errors';
import { newRandomId } from '../lib/ids';
import { requireType, tooLarge, type BodyReader } from './bodies';
import type { ApiContext } from './context';

/** A file that was sent, kept on disk until the request is answered. */
export interface UploadedFile {
  readonly fileName: string | null;
  readonly byteLength: number;
  /** The file from its beginning, as often as it is wanted. */
  read(): Readable;
}

// What a form may have around its file: boundaries, part headers.
const envelopeBytes = 64 * 1024;

/**
 * A multipart form with one file. It goes to disk as it comes, so that memory stays flat, a slow
 * sender holds no transaction open, and a file that ends up too large or broken has changed nothing.
 */
export function upload(options: {
  field: string;
  limitBytes: number;
  types: readonly string[];
  example: string;
}): BodyReader<UploadedFile> {
  return {
    contentTypes: ['multipart/form-data'],
    schema: null,
    jsonSchema: {
      type: 'object',
      required: [options.field],
      properties: {
        [options.field]: {
          type: 'string',
          contentMediaType: 'application/octet-stream',
          examples: [options.example],
        },
      },
      additionalProperties: false,
    },
    encoding: { [options.field]: { contentType: options.types.join(', ') } },
    async read(context) {
      requireType(context, ['multipart/form-data']);
      if (Number(context.get('Content-Length')) > options.limitBytes + envelopeBytes) {
        throw tooLarge(options.limitBytes);
      }
      const handle = await openScratchFile();
      try {
        const file = await receive(context, handle, options);
        return {
          value: {
            fileName: file.fileName,
            byteLength: file.byteLength,
            read: () => handle.createReadStream({ start: 0, autoClose: false }),
          },
          digest: file.digest,
          release: () => handle.close(),
        };
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
  };
}

// Unlinked at once: it goes with its descriptor, even when the process is killed.
async function openScratchFile(): Promise<FileHandle> {
  const name = path.join(tmpdir(), `carillon-upload-${newRandomId()}`);
  const handle = await open(name, 'wx+', 0o600);
  await unlink(name);
  return handle;
}

interface Received {
  fileName: string | null;
  byteLength: number;
  digest: Buffer;
}

async function receive(
  context: ApiContext,
  handle: FileHandle,
  options: { field: string; limitBytes: number; types: readonly string[] },
): Promise<Received> {
  const problems: FieldProblem[] = [];
  let file: Promise<Received> | undefined;
  const form = createForm(context, options.limitBytes);
  form.on('file', (field, stream, fileName, _encoding, type) => {
    if (field !== options.field || file !== undefined) {
      problems.push(unknownField(field));
      stream.resume();
    } else {
      file = keep(stream, handle, { fileName, type, ...options });
      // It is awaited below, after the form has ended; until then it may fail unheard.
      file.catch(() => stream.resume());
    }
  });
  form.on('field', (field) => problems.push(unknownField(field)));
  await feed(context.req, form, options.limitBytes);
  const received = await file;
  if (problems.length > 0) {
    throw invalid(problems);
  }
  if (received === undefined) {
    throw invalidField(options.field, 'required', 'Send the file under this name.');
  }
  return received;
}

// Not a pipeline: that would close the connection with the first error, before the answer.
async function feed(
  request: IncomingMessage,
  form: BusboyInstance,
  limitBytes: number,
): Promise<void> {
  const failed = new Promise<never>((_, reject) => form.once('error', reject));
  const finished = Promise.race([once(form, 'finish'), failed]);
  finished.catch(() => {});
  let passed = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const bytes = Buffer.from(chunk);
      passed += bytes.length;
      if (passed > limitBytes + envelopeBytes) {
        throw tooLarge(limitBytes);
      }
      if (!form.write(bytes)) {
        await Promise.race([once(form, 'drain'), failed]);
      }
    }
    form.end();
    await finished;
  } catch (error) {
    form.destroy();
    throw malformedForm(error);
  }
}

function createForm(context: ApiContext, limitBytes: number): BusboyInstance {
  const type = context.get('Content-Type');
  try {
    return new Busboy({
      headers: { ...context.req.headers, 'content-type': type },
      limits: { fileSize: limitBytes, files: 2, fields: 10, parts: 10, headerPairs: 20 },
    });
  } catch (cause) {
    throw malformedForm(cause);
  }
}

async function keep(
  stream: BusboyFileStream,
  handle: FileHandle,
  file: { fileName: string; type: string; types: readonly string[]; limitBytes: number },
): Promise<Received> {
  if (!file.types.includes(file.type.toLowerCase())) {
    throw new AppError(
      'unsupportedMediaType',
      'unsupportedMediaType',
      `A file of type ${file.type} is not read here; send ${file.types[0] ?? 'another'}.`,
    );
  }
  const hash = createHash('sha256');
  let byteLength = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    hash.update(bytes);
    byteLength += bytes.length;
    await handle.write(bytes);
  }
  if (stream.truncated === true) {
    throw tooLarge(file.limitBytes);
  }
  return { fileName: shownName(file.fileName), byteLength, digest: hash.digest() };
}

// Only ever shown, never a path.
function shownName(fileName: string): string | null {
  const name = path
    .basename(fileName)
    .replace(/[\p{Cc}\p{Surrogate}]/gu, '')
    .slice(0, 200);
  return name === '' ? null : name;
}

function unknownField(path: string): FieldProblem {
  return { path, code: 'unknownField', message: 'The form has one file and nothing else.' };
}

function malformedForm(cause: unknown): AppError {
  return cause instanceof AppError
    ? cause
    : new AppError('malformed', 'malformedForm', 'The body is not a complete multipart form.', {
        cause,
      });
}
