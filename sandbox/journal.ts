import { z } from 'zod';
import type { AppendLog } from './appendLog';
import { createMemoryLog, openFileLog } from './appendLog';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const BODY_KEY = Buffer.from(',"body":');

const Header = z.object({
  n: z.number().int(),
  vendor: z.string(),
  messageId: z.string(),
  receivedAt: z.iso.datetime(),
  events: z.boolean(),
});

/** What is known of an accepted request without looking into its body. */
export interface RequestHeader {
  /** The call's number: requests are numbered as they arrive, the refused ones too. */
  n: number;
  vendor: string;
  /** The id the vendor gave the request. */
  messageId: string;
  /** Milliseconds since 1970. */
  receivedAt: number;
  /** Whether events were promised for it: a webhook was configured when it was accepted. */
  events: boolean;
}

/** A request as the journal holds it; `line` is its place there. */
export interface JournaledRequest extends RequestHeader {
  line: { offset: number; length: number };
}

/** Accepted requests with their raw bodies, in the order of acceptance. */
export interface RequestJournal {
  append(header: RequestHeader, body: Buffer): Promise<JournaledRequest>;
  readBody(request: JournaledRequest): Promise<Buffer>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the journal in a folder (or in memory) and tells `onRequest` what it holds already. A body
 * must be JSON: line ends between its tokens become spaces, every other byte stays as it came.
 */
export async function openRequestJournal(
  path: string | null,
  onRequest: (request: JournaledRequest, body: Buffer) => void,
): Promise<RequestJournal> {
  const log =
    path === null
      ? createMemoryLog()
      : await openFileLog(path, (line, offset) => {
          const { header, body } = splitLine(line, offset);
          onRequest({ ...header, line: { offset, length: line.length } }, body);
        });
  return journalOn(log);
}

function journalOn(log: AppendLog): RequestJournal {
  return {
    async append(header, body) {
      const { n, vendor, messageId, receivedAt, events } = header;
      const facts = {
        n,
        vendor,
        messageId,
        receivedAt: new Date(receivedAt).toISOString(),
        events,
      };
      const opening = Buffer.from(JSON.stringify(facts).slice(0, -1));
      const line = Buffer.concat([opening, BODY_KEY, onOneLine(body), Buffer.from('}')]);
      const offset = await log.append(line);
      return { ...header, line: { offset, length: line.length } };
    },
    async readBody({ line }) {
      const bytes = await log.read(line.offset, line.length);
      return splitLine(bytes, line.offset).body;
    },
    clear: () => log.clear(),
    close: () => log.close(),
  };
}

function splitLine(line: Buffer, offset: number): { header: RequestHeader; body: Buffer } {
  const bodyKeyAt = line.indexOf(BODY_KEY);
  if (bodyKeyAt === -1) {
    throw new Error(`the journal's line at byte ${offset} holds no request`);
  }
  const { receivedAt, ...header } = Header.parse(
    JSON.parse(`${line.toString('utf8', 0, bodyKeyAt)}}`),
  );
  return {
    header: { ...header, receivedAt: Date.parse(receivedAt) },
    body: line.subarray(bodyKeyAt + BODY_KEY.length, line.length - 1),
  };
}

// JSON allows line ends between tokens only (inside strings they are escaped), so this changes
// nothing a parser sees.
function onOneLine(body: Buffer): Buffer {
  if (!body.includes(NEWLINE) && !body.includes(CARRIAGE_RETURN)) {
    return body;
  }
  return Buffer.from(
    body.map((byte) => (byte === NEWLINE || byte === CARRIAGE_RETURN ? SPACE : byte)),
  );
}
