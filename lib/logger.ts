import { pino, type DestinationStream, type Logger } from 'pino';
import { redactFields, redactText } from './redaction';

export type { Logger } from 'pino';

/**
 * One structured logger a process. On a terminal lines are pretty-printed; elsewhere they are JSON.
 * Personal data never goes into a log line: ids and counts only. What gets there all the same, in an
 * error's words above all, is taken out here, for all lines in one place.
 */
export function createLogger(options: {
  name: string;
  level?: string;
  pretty?: boolean;
  /** Where lines go instead of the standard output. */
  destination?: DestinationStream;
}): Logger {
  const settings = {
    name: options.name,
    level: options.level ?? 'info',
    // Errors are told by redactFields, which says less of what hangs on them than pino would. The
    // message does not pass it, and of an error alone it is the error's.
    serializers: { err: (error: unknown) => error, msg: redactText },
    formatters: { log: redactFields },
  };
  if (options.destination !== undefined) {
    return pino(settings, options.destination);
  }
  return options.pretty === true
    ? pino({
        ...settings,
        transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } },
      })
    : pino(settings);
}
