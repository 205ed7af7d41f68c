import { DateTime, IANAZone } from 'luxon';
import { canonicalZone } from '../campaigns/zones';

const DEFAULT_FORMAT = '%A, %B %-e, %Y at %-l:%M %P %z';
const MAX_WIDTH = 64;

/**
 * Liquid's `date` filter: a strftime format in English, in UTC unless a zone is named. Null when
 * the value is no date. The library's own filter prints in the zone of the machine's clock changes,
 * and takes 40 times as long for a month's name.
 *
 * @throws RangeError for an unknown zone
 */
export function formatDate(input: {
  value: unknown;
  format?: string | undefined;
  zone?: string | number | undefined;
}): string | null {
  const instantMs = parseDate(input.value);
  if (instantMs === null) {
    return null;
  }
  const { offsetMinutes, zoneName } = readZone(input.zone ?? 'UTC', instantMs);
  const day: WallClock = {
    at: new Date(instantMs + Math.round(offsetMinutes * 60_000)),
    instantMs,
    offsetMinutes,
    zoneName,
  };
  return (input.format ?? DEFAULT_FORMAT).replace(
    /%([-_0^#:]*)(\d*)([a-zA-Z%])/g,
    (directive, flags: string, width: string, letter: string) => {
      const convert = DIRECTIVES[letter];
      return convert ? pad(convert(day, flags), flags, width, letter) : directive;
    },
  );
}

/** The wall clock of a zone; `at` shows it through its UTC fields. */
interface WallClock {
  at: Date;
  instantMs: number;
  offsetMinutes: number;
  zoneName: string;
}

/** An instant from a Date, seconds since 1970, or ISO and SQL text (UTC unless it has an offset). */
function parseDate(value: unknown): number | null {
  if (typeof value === 'number') {
    return inRange(value * 1000);
  }
  if (value instanceof Date) {
    return inRange(value.getTime());
  }
  if (typeof value !== 'string') {
    return null;
  }
  const text = value.trim();
  if (/^\d{5,}$/.test(text)) {
    return inRange(Number(text) * 1000);
  }
  // Other ways to write a date ("03/05/2024") mean different days in different places.
  const iso = DateTime.fromISO(text, { zone: 'utc' });
  return inRange((iso.isValid ? iso : DateTime.fromSQL(text, { zone: 'utc' })).toMillis());
}

function inRange(ms: number): number | null {
  return Math.abs(ms) <= 8.64e15 - 86_400_000 ? ms : null;
}

/** Minutes count as the library counts them: positive to the west of Greenwich. */
function readZone(
  zone: string | number,
  instantMs: number,
): { offsetMinutes: number; zoneName: string } {
  if (typeof zone === 'number') {
    return { offsetMinutes: -zone, zoneName: '' };
  }
  const name = canonicalZone(zone);
  if (name === null) {
    throw new RangeError(`unknown time zone: ${zone}`);
  }
  return {
    offsetMinutes: name === 'UTC' ? 0 : IANAZone.create(name).offset(instantMs),
    zoneName: name,
  };
}

const MONTHS =
  'January February March April May June July August September October November December'.split(
    ' ',
  );
const WEEKDAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

const DIRECTIVES: Readonly<Record<string, (clock: WallClock, flags: string) => string | number>> = {
  a: ({ at }) => WEEKDAYS[at.getUTCDay()]?.slice(0, 3) ?? '',
  A: ({ at }) => WEEKDAYS[at.getUTCDay()] ?? '',
  b: ({ at }) => MONTHS[at.getUTCMonth()]?.slice(0, 3) ?? '',
  B: ({ at }) => MONTHS[at.getUTCMonth()] ?? '',
  c: ({ at }) => at.toISOString().slice(0, 19).replace('T', ' '),
  C: ({ at }) => Math.floor(at.getUTCFullYear() / 100),
  d: ({ at }) => at.getUTCDate(),
  D: ({ at }) =>
    `${two(at.getUTCMonth() + 1)}/${two(at.getUTCDate())}/${two(at.getUTCFullYear() % 100)}`,
  e: ({ at }) => at.getUTCDate(),
  F: ({ at }) => at.toISOString().slice(0, 10),
  h: ({ at }) => MONTHS[at.getUTCMonth()]?.slice(0, 3) ?? '',
  H: ({ at }) => at.getUTCHours(),
  I: ({ at }) => at.getUTCHours() % 12 || 12,
  j: ({ at }) => dayOfYear(at),
  k: ({ at }) => at.getUTCHours(),
  l: ({ at }) => at.getUTCHours() % 12 || 12,
  L: ({ at }) => at.getUTCMilliseconds(),
  m: ({ at }) => at.getUTCMonth() + 1,
  M: ({ at }) => at.getUTCMinutes(),
  n: () => '\n',
  p: ({ at }) => (at.getUTCHours() < 12 ? 'AM' : 'PM'),
  P: ({ at }) => (at.getUTCHours() < 12 ? 'am' : 'pm'),
  q: ({ at }) => ordinalSuffix(at.getUTCDate()),
  R: ({ at }) => at.toISOString().slice(11, 16),
  s: ({ instantMs }) => Math.floor(instantMs / 1000),
  S: ({ at }) => at.getUTCSeconds(),
  t: () => '\t',
  T: ({ at }) => at.toISOString().slice(11, 19),
  u: ({ at }) => at.getUTCDay() || 7,
  U: ({ at }) => weekOfYear(at, 0),
  w: ({ at }) => at.getUTCDay(),
  W: ({ at }) => weekOfYear(at, 1),
  x: ({ at }) => at.toISOString().slice(0, 10),
  X: ({ at }) => at.toISOString().slice(11, 19),
  y: ({ at }) => two(((at.getUTCFullYear() % 100) + 100) % 100),
  Y: ({ at }) => at.getUTCFullYear(),
  z: (clock, flags) => printOffset(clock, flags.includes(':') ? ':' : ''),
  Z: (clock) => clock.zoneName || printOffset(clock, ''),
  '%': () => '%',
};

const WIDTHS: Readonly<Record<string, number>> = {
  C: 2,
  d: 2,
  e: 2,
  H: 2,
  I: 2,
  j: 3,
  k: 2,
  l: 2,
  L: 3,
  m: 2,
  M: 2,
  S: 2,
  U: 2,
  W: 2,
};

function pad(shown: string | number, flags: string, width: string, letter: string): string {
  let text = String(shown);
  if (flags.includes('^')) {
    text = text.toUpperCase();
  } else if (flags.includes('#')) {
    text = text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase();
  }
  if (flags.includes('-')) {
    return text;
  }
  const isText = typeof shown === 'string' && WIDTHS[letter] === undefined;
  const usesSpaces = flags.includes('_') || isText || 'ekl'.includes(letter);
  const padCharacter = usesSpaces && !flags.includes('0') ? ' ' : '0';
  const target = Math.min(Number(width) || (WIDTHS[letter] ?? 0), MAX_WIDTH);
  return text.padStart(target, padCharacter);
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}

function dayOfYear(at: Date): number {
  return Math.floor((at.getTime() - Date.UTC(at.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;
}

/** Days before the year's first such weekday are in week 0. */
function weekOfYear(at: Date, firstWeekday: number): number {
  const sinceWeekday = (at.getUTCDay() - firstWeekday + 7) % 7;
  return Math.floor((dayOfYear(at) - 1 - sinceWeekday + 7) / 7);
}

function ordinalSuffix(day: number): string {
  if (day >= 11 && day <= 13) {
    return 'th';
  }
  return ['th', 'st', 'nd', 'rd'][day % 10] ?? 'th';
}

function printOffset({ offsetMinutes }: WallClock, separator: string): string {
  const minutes = Math.abs(Math.round(offsetMinutes));
  const sign = offsetMinutes < 0 ? '-' : '+';
  return `${sign}${two(Math.floor(minutes / 60))}${separator}${two(minutes % 60)}`;
}
