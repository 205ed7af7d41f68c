import { scheduleProblems } from '../../../domain/campaigns/scheduleProblems';
import type { Schedule } from '../../../domain/campaigns/types';

// 22:00 in London, and 10:00 of this day where clocks are last.
const now = new Date('2026-11-21T22:00:00Z');

function localHour(date: string, time: string, hourPast: 'sendNow' | 'nextDay' | 'skip'): Schedule {
  return { kind: 'localHour', date, time, unknownZone: 'tenant', hourPast };
}

test.each<[string, Schedule]>([
  ['now', { kind: 'now' }],
  ['an instant to come', { kind: 'instant', at: '2026-11-21T22:00:01Z' }],
  ['the instant that was now when it was asked', { kind: 'instant', at: '2026-11-21T21:59:00Z' }],
  ['an instant in two years', { kind: 'instant', at: '2028-11-21T22:00:00Z' }],
  ['an hour that is still to come somewhere', localHour('2026-11-21', '10:00', 'skip')],
  [
    'an hour that is over everywhere, for the next day',
    localHour('2026-11-21', '09:59', 'nextDay'),
  ],
  [
    "yesterday's hour, while it lies ahead on the next day",
    localHour('2026-11-20', '10:00', 'nextDay'),
  ],
  ['any past hour that is to go out now', localHour('2020-01-01', '09:00', 'sendNow')],
  ['an hour in two years', localHour('2028-11-20', '09:00', 'skip')],
])('%s can be meant', (_, schedule) => {
  expect(scheduleProblems(schedule, now)).toEqual([]);
});

test.each<[string, Schedule, string, string]>([
  ['a past instant', { kind: 'instant', at: '2026-11-21T21:58:59Z' }, 'schedule.at', 'pastInstant'],
  ['a far instant', { kind: 'instant', at: '2028-11-21T22:00:01Z' }, 'schedule.at', 'tooFarAhead'],
  [
    'an hour over everywhere',
    localHour('2026-11-21', '09:59', 'skip'),
    'schedule.date',
    'pastHour',
  ],
  [
    'a day before yesterday',
    localHour('2026-11-20', '09:59', 'nextDay'),
    'schedule.date',
    'pastHour',
  ],
  ['last year', localHour('2025-11-22', '09:00', 'nextDay'), 'schedule.date', 'pastHour'],
  ['a far day', localHour('2028-11-22', '09:00', 'sendNow'), 'schedule.date', 'tooFarAhead'],
])('%s is a mistake', (_, schedule, path, code) => {
  expect(scheduleProblems(schedule, now)).toMatchObject([{ path, code }]);
});
