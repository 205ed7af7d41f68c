import { createReadStream } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

const NEWLINE = 0x0a;

/** Lines that are only ever added, each readable again by its place. */
export interface AppendLog {
  /** Resolves with the offset of the line's first byte once the operating system holds it. */
  append(line: Buffer): Promise<number>;
  read(offset: number, length: number): Promise<Buffer>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a file of lines and tells `onLine` each one it already holds, in order. A last line without
 * its end (the process died while writing it) is cut off: it was never acknowledged to anyone.
 */
export async function openFileLog(
  path: string,
  onLine: (line: Buffer, offset: number) => void,
): Promise<AppendLog> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'a+');
  try {
    const size = await readLines(path, onLine);
    await file.truncate(size);
    return new FileLog(file, size);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The same without a file. */
export function createMemoryLog(): AppendLog {
  return new MemoryLog();
}

async function readLines(
  path: string,
  onLine: (line: Buffer, offset: number) => void,
): Promise<number> {
  let lineStart = 0;
  let held: Buffer[] = [];
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const bytes: Buffer = chunk;
    let from = 0;
    let end = bytes.indexOf(NEWLINE);
    while (end !== -1) {
      held.push(bytes.subarray(from, end));
      const line = held.length === 1 ? bytes.subarray(from, end) : Buffer.concat(held);
      onLine(line, lineStart);
      lineStart += line.length + 1;
      held = [];
      from = end + 1;
      end = bytes.indexOf(NEWLINE, from);
    }
    if (from < bytes.length) {
      held.push(bytes.subarray(from));
    }
  }
  return lineStart;
}

class FileLog implements AppendLog {
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly file: FileHandle,
    private size: number,
  ) {}

  append(line: Buffer): Promise<number> {
    // No fsync: what write() took survives the death of this process, and a sandbox need not
    // survive the loss of power.
    return this.inTurn(async () => {
      const offset = this.size;
      try {
        await this.file.appendFile(Buffer.concat([line, Buffer.of(NEWLINE)]));
      } catch (error) {
        await this.file.truncate(offset);
        throw error;
      }
      this.size = offset + line.length + 1;
      return offset;
    });
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.file.read(bytes, 0, length, offset);
    if (bytesRead !== length) {
      throw new Error(`the journal ends before byte ${offset + length}`);
    }
    return bytes;
  }

  clear(): Promise<void> {
    return this.inTurn(async () => {
      await this.file.truncate(0);
      this.size = 0;
    });
  }

  close(): Promise<void> {
    return this.inTurn(() => this.file.close());
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.writing.then(work);
    this.writing = done.catch(() => undefined);
    return done;
  }
}

class MemoryLog implements AppendLog {
  private readonly lines = new Map<number, Buffer>();
  private size = 0;

  append(line: Buffer): Promise<number> {
    const offset = this.size;
    this.lines.set(offset, line);
    this.size += line.length + 1;
    return Promise.resolve(offset);
  }

  read(offset: number, length: number): Promise<Buffer> {
    const line = this.lines.get(offset);
    if (!line) {
      return Promise.reject(new Error(`no line starts at ${offset}`));
    }
    return Promise.resolve(line.subarray(0, length));
  }

  clear(): Promise<void> {
    this.lines.clear();
    this.size = 0;
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
