import { addDays, localDate, localMeaning } from './localInstant';

/** From when until when nothing leaves, as HH:mm on each customer's own clock; midnight may lie between. */
export interface QuietHours {
  from: string;
  to: string;
}

/**
 * The end of the quiet hours the instant lies in, or null. Where clocks show their beginning or end
 * twice, they last from the first beginning to the last end.
 */
export function quietUntil(zone: string, quiet: QuietHours, at: Date): Date | null {
  const [around] = periodsAround(zone, quiet, at).filter(({ from, to }) => from <= at && at < to);
  // Where a zone skips a day, one night begins as the other one ends.
  return around === undefined ? null : (quietUntil(zone, quiet, around.to) ?? around.to);
}

/** When the next quiet hours after the instant begin. */
export function nextQuiet(zone: string, quiet: QuietHours, at: Date): Date {
  const ahead = periodsAround(zone, quiet, at).filter(({ from }) => from > at);
  return new Date(Math.min(...ahead.map(({ from }) => from.getTime())));
}

/** How many minutes of an ordinary day are not quiet. */
export function openMinutes({ from, to }: QuietHours): number {
  const quiet = (minuteOf(to) - minuteOf(from) + minutesADay) % minutesADay;
  return minutesADay - quiet;
}

const minutesADay = 24 * 60;

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));
}

// Those of yesterday may reach into today, and a zone may skip a whole day.
function periodsAround(
  zone: string,
  { from, to }: QuietHours,
  at: Date,
): { from: Date; to: Date }[] {
  const today = localDate(zone, at);
  return [-2, -1, 0, 1, 2].map((days) => {
    const date = addDays(today, days);
    const begins = localMeaning(zone, date, from);
    const ends = localMeaning(zone, to <= from ? addDays(date, 1) : date, to);
    return {
      from: begins.kind === 'shown' ? begins.first : begins.changeAt,
      to: ends.kind === 'shown' ? ends.last : ends.changeAt,
    };
  });
}
