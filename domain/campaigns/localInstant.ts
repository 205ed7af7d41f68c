import { DateTime, IANAZone } from 'luxon';

// No zone was ever further than 15 h 56 min from UTC, so the instant of a wall-clock time lies
// within this distance of the same digits read as UTC.
const REACH_MS = 16 * 3_600_000;

/**
 * The instant at which clocks in the zone show `date` (YYYY-MM-DD) and `time` (HH:mm). A time the
 * clocks skip moves forward by what was skipped (02:30 becomes 03:30; a skipped day, the next
 * day's hour); a time they show twice is its first occurrence.
 *
 * @throws RangeError for a zone Intl does not know, or digits that are no date or time.
 */
export function localInstant(zone: string, date: string, time: string): Date {
  const meaning = localMeaning(zone, date, time);
  return meaning.kind === 'skipped' ? meaning.after : meaning.first;
}

/** What a wall-clock time means in a zone: its instant, both where it is doubled, or none. */
export type LocalMeaning =
  | { kind: 'shown'; first: Date; last: Date }
  /** Clocks jump over it at `changeAt`; `after` is as long after that as it lies after the jump's beginning. */
  | { kind: 'skipped'; changeAt: Date; after: Date };

/**
 * The same, told apart where clocks change.
 *
 * @throws RangeError for a zone Intl does not know, or digits that are no date or time.
 */
export function localMeaning(zone: string, date: string, time: string): LocalMeaning {
  const place = IANAZone.create(zone);
  if (!place.isValid) {
    throw new RangeError(`unknown time zone: ${zone}`);
  }
  const wallMs = wallClockAsUtc(date, time);
  // luxon's own conversion of wall time starts from today's offset, which makes its answer for a
  // doubled hour depend on the season it is asked in; only its offsets are used.
  const beforeMs = offsetMs(place, wallMs - REACH_MS);
  const afterMs = offsetMs(place, wallMs + REACH_MS);
  const shown = [wallMs - beforeMs, wallMs - afterMs].filter(
    (instant) => instant + offsetMs(place, instant) === wallMs,
  );
  if (shown.length > 0) {
    return {
      kind: 'shown',
      first: new Date(Math.min(...shown)),
      last: new Date(Math.max(...shown)),
    };
  }
  return {
    kind: 'skipped',
    changeAt: new Date(changeMs(place, wallMs - afterMs, wallMs - beforeMs)),
    after: new Date(wallMs - beforeMs),
  };
}

/** The first millisecond after `fromMs`, up to `toMs`, at which the offset is no more what it was. */
function changeMs(place: IANAZone, fromMs: number, toMs: number): number {
  const before = offsetMs(place, fromMs);
  let [low, high] = [fromMs, toMs];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetMs(place, middle) === before) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return high;
}

/** The calendar date (YYYY-MM-DD) in the zone at the instant. */
export function localDate(zone: string, at: Date): string {
  return DateTime.fromJSDate(at, { zone }).toFormat('yyyy-MM-dd');
}

/** The calendar date some days after (YYYY-MM-DD). */
export function addDays(date: string, days: number): string {
  return DateTime.fromFormat(date, 'yyyy-MM-dd', { zone: 'utc' })
    .plus({ days })
    .toFormat('yyyy-MM-dd');
}

function wallClockAsUtc(date: string, time: string): number {
  const wallMs = /^\d{4}-\d\d-\d\d$/.test(date) ? Date.parse(`${date}T${time}:00Z`) : Number.NaN;
  // Date.parse rolls 31 April into May and takes 24:00; neither is a time on a clock.
  if (Number.isNaN(wallMs) || new Date(wallMs).toISOString().slice(0, 16) !== `${date}T${time}`) {
    throw new RangeError(`not a date and time: ${date} ${time}`);
  }
  return wallMs;
}

function offsetMs(place: IANAZone, instantMs: number): number {
  // Offsets before standard time had seconds; luxon gives them as fractions of a minute.
  return Math.round(place.offset(instantMs) * 60_000);
}
