import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

type Level = 'info' | 'warn' | 'error';

/** Where every part's lines come together: prefixed and coloured on a terminal, JSON lines elsewhere. */
export interface Output {
  /** One line that a part printed. */
  line(part: string, text: string): void;
  /** Something the supervisor itself has to say, about a part or about the whole. */
  say(part: string, message: string, level?: Level): void;
  /** Text for people as it is, such as the closing table. */
  print(text: string): void;
  readonly isTerminal: boolean;
}

/** `write` takes whole lines. Lines of a part below `level` are dropped. */
export function createOutput(options: {
  isTerminal: boolean;
  level: string;
  write: (text: string) => void;
}): Output {
  const { isTerminal, write } = options;
  const smallest = levelNumbers[options.level] ?? 30;
  const show = (part: string, record: LogRecord) => {
    if (record.level >= smallest) {
      write(isTerminal ? forTerminal(part, record) : forMachine(part, record));
    }
  };
  return {
    isTerminal,
    line: (part, text) => show(part, parseLine(text)),
    say: (part, message, level = 'info') =>
      show(part, { level: levelNumbers[level] ?? 30, time: Date.now(), msg: message, rest: {} }),
    print: (text) => write(text),
  };
}

/** Calls `onLine` for each line of the stream, until it ends. */
export function eachLine(stream: Readable, onLine: (text: string) => void): void {
  createInterface({ input: stream, crlfDelay: Infinity }).on('line', (text) => {
    if (text.trim() !== '') {
      onLine(text);
    }
  });
}

interface LogRecord {
  level: number;
  time: number;
  msg: string;
  rest: Record<string, unknown>;
}

const levelNumbers: Record<string, number> = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
};

// Our own processes and Temporal write JSON, Postgres and crashes plain text.
function parseLine(text: string): LogRecord {
  if (text.startsWith('{')) {
    try {
      const { level, time, ts, msg, ...rest }: Record<string, unknown> = JSON.parse(text);
      return {
        level:
          typeof level === 'number' ? level : (levelNumbers[String(level).toLowerCase()] ?? 30),
        time: typeof time === 'number' ? time : toTime(ts),
        msg: typeof msg === 'string' ? msg : '',
        rest,
      };
    } catch {
      // Not JSON after all: shown as it is.
    }
  }
  return { level: plainLevel(text), time: Date.now(), msg: text, rest: {} };
}

function toTime(text: unknown): number {
  const time = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? Date.now() : time;
}

// Postgres marks its lines; its LOG lines tell of every start and checkpoint.
function plainLevel(text: string): number {
  if (/^\s*(LOG|DETAIL|HINT|STATEMENT|CONTEXT):/.test(text)) {
    return 20;
  }
  return /^\s*(ERROR|FATAL|PANIC):/.test(text) ? 40 : 30;
}

function forMachine(part: string, record: LogRecord): string {
  const { level, time, msg, rest } = record;
  return JSON.stringify({ part, level, time, ...rest, msg });
}

const partColours: Record<string, number> = {
  start: 97,
  postgres: 34,
  temporal: 35,
  sandbox: 33,
  api: 36,
  worker: 32,
};
const prefixWidth = 9;

function forTerminal(part: string, record: LogRecord): string {
  const colour = partColours[part.replace(/-\d+$/, '')] ?? 37;
  const prefix = `\u001B[${colour}m${part.padEnd(prefixWidth)}│\u001B[0m `;
  const time = new Date(record.time).toTimeString().slice(0, 8);
  const text = `${paintByLevel(record)}${dim(detailsOf(record.rest))}`;
  return `${prefix}${dim(time)} ${text.split('\n').join(`\n${prefix}`)}`;
}

function paintByLevel({ level, msg }: LogRecord): string {
  if (level >= 50) {
    return `\u001B[31m${msg}\u001B[0m`;
  }
  return level >= 40 ? `\u001B[33m${msg}\u001B[0m` : msg;
}

// What a person watching does not need: every line has them, or the prefix says it.
const hiddenFields = new Set(['pid', 'hostname', 'name', 'requestId', 'logging-call-at']);

function detailsOf(rest: Record<string, unknown>): string {
  return Object.entries(rest)
    .filter(([key]) => !hiddenFields.has(key))
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
}

function dim(text: string): string {
  return text === '' ? '' : `\u001B[2m${text}\u001B[0m`;
}
