import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

/**
 * One structured logger a process. On a terminal lines are pretty-printed; elsewhere they are JSON.
 * Personal data never goes into a log line: ids and counts only; the paths below are a second wall.
 */
export function createLogger(options: { name: string; level?: string; pretty?: boolean }): Logger {
  return pino({
    name: options.name,
    level: options.level ?? 'info',
    redact: {
      paths: ['email', 'phone', 'password', 'token', 'authorization', '*.email', '*.password'],
      censor: '[redacted]',
    },
    ...(options.pretty
      ? { transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } } }
      : {}),
  });
}
