import type { FieldProblem } from '../errors';
import { addDays, localInstant } from './localInstant';
import type { Schedule } from './types';

// A request takes a moment to arrive: an instant that was "now" for its author still is.
const graceMs = 60_000;

const mostYearsAhead = 2;

// The last clocks on Earth to show any hour.
const lastZone = 'Etc/GMT+12';

/** What is wrong with a schedule at this time of asking; its fields are named under `schedule`. */
export function scheduleProblems(schedule: Schedule, now: Date): FieldProblem[] {
  switch (schedule.kind) {
    case 'now':
      return [];
    case 'instant':
      return instantProblems(new Date(schedule.at), now);
    case 'localHour':
      return localHourProblems(schedule, now);
  }
}

function instantProblems(at: Date, now: Date): FieldProblem[] {
  if (at.getTime() < now.getTime() - graceMs) {
    return [{ path: 'schedule.at', code: 'pastInstant', message: 'Lies in the past.' }];
  }
  return at > latest(now) ? [tooFarAhead('schedule.at')] : [];
}

function localHourProblems(
  schedule: Extract<Schedule, { kind: 'localHour' }>,
  now: Date,
): FieldProblem[] {
  if (localInstant(lastZone, schedule.date, schedule.time) > latest(now)) {
    return [tooFarAhead('schedule.date')];
  }
  return isPastEverywhere(schedule, now)
    ? [
        {
          path: 'schedule.date',
          code: 'pastHour',
          message: 'This hour is over in every time zone, so nobody would get a message.',
        },
      ]
    : [];
}

// "The next day" is the day after the one that was named: when that is over as well, the date was
// mistaken, and mail would go out on a day that nobody asked for.
function isPastEverywhere(
  { date, time, hourPast }: Extract<Schedule, { kind: 'localHour' }>,
  now: Date,
): boolean {
  switch (hourPast) {
    case 'sendNow':
      return false;
    case 'skip':
      return localInstant(lastZone, date, time) < now;
    case 'nextDay':
      return localInstant(lastZone, addDays(date, 1), time) < now;
  }
}

function latest(now: Date): Date {
  const date = new Date(now);
  date.setUTCFullYear(date.getUTCFullYear() + mostYearsAhead);
  return date;
}

function tooFarAhead(path: string): FieldProblem {
  return {
    path,
    code: 'tooFarAhead',
    message: `Lies more than ${mostYearsAhead} years ahead.`,
  };
}
