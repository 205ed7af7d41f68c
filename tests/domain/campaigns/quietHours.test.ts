import { DateTime } from 'luxon';
import {
  nextQuiet,
  openMinutes,
  quietUntil,
  type QuietHours,
} from '../../../domain/campaigns/quietHours';
import { planWaves, type WaveSpec, type ZoneGroup } from '../../../domain/campaigns/waves';

const night = { from: '21:00', to: '08:00' };
const noon = { from: '12:00', to: '14:00' };

test.each([
  ['Europe/Berlin', night, '2026-01-10T19:59:59Z', null],
  ['Europe/Berlin', night, '2026-01-10T20:00:00Z', '2026-01-11T07:00:00.000Z'],
  ['Europe/Berlin', night, '2026-01-11T06:59:59Z', '2026-01-11T07:00:00.000Z'],
  ['Europe/Berlin', night, '2026-01-11T07:00:00Z', null],
  ['America/New_York', night, '2026-01-11T07:00:00Z', '2026-01-11T13:00:00.000Z'],
  ['Asia/Kathmandu', noon, '2026-01-11T06:15:00Z', '2026-01-11T08:15:00.000Z'],
  // The night on which clocks go forward is an hour shorter, the other one longer.
  ['Europe/Berlin', night, '2026-03-28T20:00:00Z', '2026-03-29T06:00:00.000Z'],
  ['Europe/Berlin', night, '2026-10-24T19:00:00Z', '2026-10-25T07:00:00.000Z'],
  // The doubled hour is quiet both times.
  [
    'Europe/Berlin',
    { from: '22:00', to: '02:30' },
    '2026-10-25T00:45:00Z',
    '2026-10-25T01:30:00.000Z',
  ],
  // The skipped 30th of December 2011.
  ['Pacific/Apia', night, '2011-12-30T08:00:00Z', '2011-12-30T18:00:00.000Z'],
] as const)('in %s %j at %s is quiet until %s', (zone, quiet, at, until) => {
  expect(quietUntil(zone, quiet, new Date(at))?.toISOString() ?? null).toBe(until);
});

test('is quiet when the clocks of a zone show it, and longer only where they show it twice', () => {
  const periods: QuietHours[] = [
    night,
    noon,
    { from: '02:30', to: '03:15' },
    { from: '23:45', to: '02:15' },
  ];
  const changes = [
    ['Europe/Berlin', '2026-03-28T12:00:00Z', 0],
    ['Europe/Berlin', '2026-10-24T12:00:00Z', 75],
    ['America/Sao_Paulo', '2018-11-03T12:00:00Z', 0],
    ['Australia/Lord_Howe', '2026-04-04T00:00:00Z', 0],
    ['Pacific/Apia', '2011-12-29T12:00:00Z', 0],
  ] as const;
  for (const [zone, from, mostExtraMinutes] of changes) {
    let extraMinutes = 0;
    for (let minutes = 0; minutes < 48 * 60; minutes += 15) {
      const at = new Date(Date.parse(from) + minutes * 60_000);
      const wall = DateTime.fromJSDate(at, { zone }).toFormat('HH:mm');
      for (const quiet of periods) {
        const isShown =
          quiet.from < quiet.to
            ? wall >= quiet.from && wall < quiet.to
            : wall >= quiet.from || wall < quiet.to;
        const until = quietUntil(zone, quiet, at);
        const isOpenThen = until !== null && quietUntil(zone, quiet, until) === null;
        const isOpenNow = until === null && nextQuiet(zone, quiet, at) > at;
        extraMinutes += isOpenThen && !isShown ? 15 : 0;
        if (isShown ? !isOpenThen : !isOpenThen && !isOpenNow) {
          throw new Error(`${zone} ${at.toISOString()} ${JSON.stringify(quiet)} ${String(until)}`);
        }
      }
    }
    expect([zone, extraMinutes]).toEqual([zone, mostExtraMinutes]);
  }
});

test.each([
  [night, 13 * 60],
  [noon, 22 * 60],
  [{ from: '08:00', to: '07:59' }, 1],
])('%j leaves %d minutes a day', (quiet, minutes) => {
  expect(openMinutes(quiet)).toBe(minutes);
});

const nobodyElse = { tenantZone: 'Europe/Berlin', now: new Date('2026-03-10T19:30:00Z') };
const zones = (...names: (string | null)[]): ZoneGroup[] =>
  names.map((zone) => ({ zone, customers: 1 }));

function windows(spec: WaveSpec, groups: ZoneGroup[], now = nobodyElse.now) {
  return planWaves({ ...nobodyElse, now, spec, groups }).waves.map((wave) => [
    wave.startsAt.toISOString().slice(5, 16),
    wave.closesAt.toISOString().slice(5, 16),
    wave.waitsFor ?? null,
    wave.zones.join(' '),
  ]);
}

test('a wave in quiet hours begins when they end, and every wave closes when they begin', () => {
  const spec = { kind: 'now', quietHours: night } as const;
  expect(windows(spec, zones('Europe/Berlin', 'America/New_York', 'Asia/Tokyo', null))).toEqual([
    ['03-10T19:30', '03-10T20:00', null, 'Europe/Berlin'],
    ['03-10T19:30', '03-10T20:30', null, 'America/New_York'],
    ['03-10T23:00', '03-11T00:00', 'quietHours', 'Asia/Tokyo'],
  ]);
});

test('customers of no known zone are spared by the clock that stands in for theirs', () => {
  const now = new Date('2026-03-10T21:00:00Z');
  expect(windows({ kind: 'now', quietHours: night }, zones(null), now)).toEqual([
    ['03-11T07:00', '03-11T08:00', 'quietHours', ''],
  ]);
  const utc = { unknownZone: 'utc', hourPast: 'skip', quietHours: night } as const;
  const spec = { kind: 'localHour', date: '2026-03-11', time: '23:00', ...utc } as const;
  expect(windows(spec, zones(null), now)).toEqual([
    ['03-12T08:00', '03-12T09:00', 'quietHours', 'UTC'],
  ]);
});

test.each([
  ['nextDay', '03-12T19:30', null],
  ['sendNow', '03-12T07:00', 'quietHours'],
] as const)('what is left when they begin goes on by the policy %s', (hourPast, at, waitsFor) => {
  const spec = {
    kind: 'localHour',
    date: '2026-03-11',
    time: '20:30',
    unknownZone: 'tenant',
    hourPast,
    quietHours: night,
  } as const;
  const [first] = windows(spec, zones('Europe/Berlin'));
  expect(first?.slice(0, 2)).toEqual(['03-11T19:30', '03-11T20:00']);
  const late = windows(spec, zones('Europe/Berlin'), new Date('2026-03-11T20:00:00Z'));
  expect(late).toEqual([[at, expect.any(String), waitsFor, 'Europe/Berlin']]);
});

test('an hour that quiet hours put off is not past before they end', () => {
  const spec = {
    kind: 'localHour',
    date: '2026-03-10',
    time: '22:00',
    unknownZone: 'tenant',
    quietHours: night,
  } as const;
  const later = new Date('2026-03-10T23:00:00Z');
  for (const hourPast of ['skip', 'nextDay'] as const) {
    expect(windows({ ...spec, hourPast }, zones('Europe/Berlin'), later)).toEqual([
      ['03-11T07:00', '03-11T08:00', 'quietHours', 'Europe/Berlin'],
    ]);
  }
});
