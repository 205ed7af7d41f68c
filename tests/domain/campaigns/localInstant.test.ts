import { existsSync, readFileSync } from 'node:fs';
import { addDays, localDate, localInstant } from '../../../domain/campaigns/localInstant';
import { canonicalZone } from '../../../domain/campaigns/zones';

describe('localInstant', () => {
  it.each([
    ['an ordinary hour', 'Europe/Berlin', '2026-07-01', '09:00', '2026-07-01T07:00:00Z'],
    ['a skipped hour', 'Europe/Berlin', '2026-03-29', '02:30', '2026-03-29T01:30:00Z'],
    ['the first skipped minute', 'Europe/Berlin', '2026-03-29', '02:00', '2026-03-29T01:00:00Z'],
    ['the first minute after', 'Europe/Berlin', '2026-03-29', '03:00', '2026-03-29T01:00:00Z'],
    ['a doubled hour', 'Europe/Berlin', '2026-10-25', '02:30', '2026-10-25T00:30:00Z'],
    ['the last doubled minute', 'Europe/Berlin', '2026-10-25', '02:59', '2026-10-25T00:59:00Z'],
    ['the hour after', 'Europe/Berlin', '2026-10-25', '03:00', '2026-10-25T02:00:00Z'],
    ['a skipped hour west', 'America/New_York', '2026-03-08', '02:30', '2026-03-08T07:30:00Z'],
    ['a doubled hour west', 'America/New_York', '2026-11-01', '01:30', '2026-11-01T05:30:00Z'],
    ['half an hour skipped', 'Australia/Lord_Howe', '2026-10-04', '02:15', '2026-10-03T15:45:00Z'],
    ['after half an hour', 'Australia/Lord_Howe', '2026-10-04', '02:30', '2026-10-03T15:30:00Z'],
    ['half an hour doubled', 'Australia/Lord_Howe', '2026-04-05', '01:45', '2026-04-04T14:45:00Z'],
    ['midnight skipped', 'Asia/Beirut', '2026-03-29', '00:30', '2026-03-28T22:30:00Z'],
    ['midnight skipped south', 'America/Sao_Paulo', '2018-11-04', '00:00', '2018-11-04T03:00:00Z'],
    ['a skipped day', 'Pacific/Apia', '2011-12-30', '09:00', '2011-12-30T19:00:00Z'],
    ['the day after it', 'Pacific/Apia', '2011-12-31', '09:00', '2011-12-30T19:00:00Z'],
    ['the day before it', 'Pacific/Apia', '2011-12-29', '23:59', '2011-12-30T09:59:00Z'],
    ['another skipped day', 'Pacific/Kwajalein', '1993-08-21', '12:00', '1993-08-22T00:00:00Z'],
    ['a doubled day', 'America/Juneau', '1867-10-18', '12:00', '1867-10-17T20:57:41Z'],
    ['quarter hours', 'Asia/Kathmandu', '2026-01-01', '00:00', '2025-12-31T18:15:00Z'],
    ['an old name', 'Asia/Calcutta', '2026-01-01', '05:30', '2026-01-01T00:00:00Z'],
    ['a fixed zone', 'Etc/GMT+5', '2026-01-01', '00:00', '2026-01-01T05:00:00Z'],
    ['war time', 'Europe/London', '1941-05-04', '01:30', '1941-05-04T00:30:00Z'],
  ])('knows %s', (_what, zone, date, time, expected) => {
    expect(localInstant(zone, date, time)).toEqual(new Date(expected));
  });

  it.each([
    ['Europe/Atlantis', '2026-01-01', '09:00'],
    ['Europe/Berlin', '2026-02-30', '09:00'],
    ['Europe/Berlin', '2026-13-01', '09:00'],
    ['Europe/Berlin', '2026-1-1', '09:00'],
    ['Europe/Berlin', '2026-01-01', '24:00'],
    ['Europe/Berlin', '2026-01-01', '9:00'],
    ['Europe/Berlin', '2026-01-01', '09:60'],
    ['Europe/Berlin', '2026-01-01', '09:00:00'],
    ['Europe/Berlin', '2026-01-01', ''],
  ])('refuses %s %s %s', (zone, date, time) => {
    expect(() => localInstant(zone, date, time)).toThrow(RangeError);
  });

  it('counts calendar days in the zone', () => {
    expect(localDate('Pacific/Auckland', new Date('2026-03-10T12:00:00Z'))).toBe('2026-03-11');
    expect(localDate('Pacific/Honolulu', new Date('2026-03-10T09:00:00Z'))).toBe('2026-03-09');
    expect(addDays('2026-12-31', 1)).toBe('2027-01-01');
    expect(addDays('2028-03-01', -1)).toBe('2028-02-29');
  });

  // The reference knows only what Intl prints for an instant: it finds each change of the clocks by
  // bisection and reads the rules for skipped and doubled times straight from the changes.
  it('agrees with a calculation without luxon in every zone around every change of two years', () => {
    let compared = 0;
    let changes = 0;
    const differences: string[] = [];
    const zones = [...zoneNames()].filter((zone) => canonicalZone(zone) !== null);
    for (const zone of zones) {
      const stretches = offsetStretches(zone, '2025-12-25', '2028-01-07');
      const days = daysToCompare(stretches);
      changes += stretches.length - 1;
      for (const day of days) {
        for (let minute = 0; minute < 1440; minute += 30) {
          const time = `${pad(Math.floor(minute / 60))}:${pad(minute % 60)}`;
          const wallMs = Date.parse(`${day}T${time}:00Z`);
          const expected = instantByStretches(stretches, wallMs);
          compared += 1;
          const found = localInstant(zone, day, time).getTime();
          if (found !== expected) {
            differences.push(`${zone} ${day} ${time}: ${found} instead of ${expected}`);
          }
        }
      }
    }
    process.stdout.write(
      `localInstant: ${compared} instants, ${zones.length} zones, ${changes} changes of the clocks, ` +
        `${differences.length} differences\n`,
    );
    expect(differences).toEqual([]);
    expect(zones.length).toBeGreaterThan(500);
    expect(changes).toBeGreaterThan(600);
  });
});

interface Stretch {
  fromMs: number;
  untilMs: number;
  offsetMs: number;
}

/** The stretches of constant offset between two dates, found from Intl's printed clock alone. */
function offsetStretches(zone: string, from: string, until: string): Stretch[] {
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const offsetAt = (ms: number): number => {
    const [month, day, year, hour, minute, second] = (clock.format(ms).match(/\d+/g) ?? []).map(
      Number,
    );
    return (
      Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second) -
      Math.floor(ms / 1000) * 1000
    );
  };
  const endMs = Date.parse(`${until}T00:00:00Z`);
  const stretches: Stretch[] = [];
  let fromMs = Date.parse(`${from}T00:00:00Z`);
  let offsetMs = offsetAt(fromMs);
  for (let ms = fromMs; ms < endMs; ms += 86_400_000) {
    const nextOffsetMs = offsetAt(ms + 86_400_000);
    if (nextOffsetMs === offsetMs) {
      continue;
    }
    let low = ms;
    let high = ms + 86_400_000;
    while (high - low > 1000) {
      const middle = Math.floor((low + high) / 2000) * 1000;
      if (offsetAt(middle) === offsetMs) {
        low = middle;
      } else {
        high = middle;
      }
    }
    stretches.push({ fromMs, untilMs: high, offsetMs });
    fromMs = high;
    offsetMs = nextOffsetMs;
  }
  stretches.push({ fromMs, untilMs: endMs, offsetMs });
  return stretches;
}

function instantByStretches(stretches: Stretch[], wallMs: number): number {
  for (const { fromMs, untilMs, offsetMs } of stretches) {
    const instant = wallMs - offsetMs;
    if (instant >= fromMs && instant < untilMs) {
      return instant;
    }
  }
  for (const [index, after] of stretches.entries()) {
    const before = stretches[index - 1];
    if (
      before &&
      wallMs >= after.fromMs + before.offsetMs &&
      wallMs < after.fromMs + after.offsetMs
    ) {
      return wallMs - before.offsetMs;
    }
  }
  throw new Error(`no stretch holds ${new Date(wallMs).toISOString()}`);
}

/** The day before, of and after each change; for zones without changes, days in both seasons. */
function daysToCompare(stretches: Stretch[]): Set<string> {
  const days = new Set(['2026-01-01', '2026-03-29', '2026-07-01', '2026-10-25', '2027-12-31']);
  for (const stretch of stretches.slice(1)) {
    for (const offsetMs of stretches.map((each) => each.offsetMs)) {
      for (const distance of [-86_400_000, 0, 86_400_000]) {
        days.add(new Date(stretch.fromMs + offsetMs + distance).toISOString().slice(0, 10));
      }
    }
  }
  return days;
}

/** What Intl lists, the alias names of the tz database's listing where there is one, and more. */
function zoneNames(): Set<string> {
  const names = new Set([...Intl.supportedValuesOf('timeZone'), ...ALIASES]);
  const listing = '/usr/share/zoneinfo/tzdata.zi';
  if (existsSync(listing)) {
    for (const line of readFileSync(listing, 'utf8').split('\n')) {
      const [kind, first, second] = line.split(' ');
      const name = kind === 'L' ? second : kind === 'Z' ? first : undefined;
      if (name !== undefined) {
        names.add(name);
      }
    }
  }
  return names;
}

function pad(n: number): string {
  return String(n).padStart(2, '0');
}

const ALIASES = `
Africa/Asmara Africa/Timbuktu America/Argentina/Buenos_Aires America/Argentina/Catamarca
America/Argentina/ComodRivadavia America/Argentina/Cordoba America/Argentina/Jujuy
America/Argentina/Mendoza America/Atikokan America/Atka America/Ensenada America/Fort_Wayne
America/Indiana/Indianapolis America/Kentucky/Louisville America/Knox_IN America/Montreal
America/Nipigon America/Nuuk America/Pangnirtung America/Porto_Acre America/Rainy_River
America/Rosario America/Santa_Isabel America/Shiprock America/Thunder_Bay America/Virgin
America/Yellowknife Antarctica/South_Pole Asia/Ashkhabad Asia/Choibalsan Asia/Chongqing
Asia/Chungking Asia/Dacca Asia/Harbin Asia/Ho_Chi_Minh Asia/Istanbul Asia/Kashgar Asia/Kathmandu
Asia/Kolkata Asia/Macao Asia/Tel_Aviv Asia/Thimbu Asia/Ujung_Pandang Asia/Ulan_Bator Asia/Yangon
Atlantic/Faroe Atlantic/Jan_Mayen Australia/ACT Australia/Canberra Australia/Currie Australia/LHI
Australia/NSW Australia/North Australia/Queensland Australia/South Australia/Tasmania
Australia/Victoria Australia/West Australia/Yancowinna Brazil/Acre Brazil/DeNoronha Brazil/East
Brazil/West CET CST6CDT Canada/Atlantic Canada/Central Canada/Eastern Canada/Mountain
Canada/Newfoundland Canada/Pacific Canada/Saskatchewan Canada/Yukon Chile/Continental
Chile/EasterIsland Cuba EET EST EST5EDT Egypt Eire Etc/GMT Etc/GMT+0 Etc/GMT+1 Etc/GMT+10
Etc/GMT+11 Etc/GMT+12 Etc/GMT+2 Etc/GMT+3 Etc/GMT+4 Etc/GMT+5 Etc/GMT+6 Etc/GMT+7 Etc/GMT+8
Etc/GMT+9 Etc/GMT-0 Etc/GMT-1 Etc/GMT-10 Etc/GMT-11 Etc/GMT-12 Etc/GMT-13 Etc/GMT-14 Etc/GMT-2
Etc/GMT-3 Etc/GMT-4 Etc/GMT-5 Etc/GMT-6 Etc/GMT-7 Etc/GMT-8 Etc/GMT-9 Etc/GMT0 Etc/Greenwich
Etc/UCT Etc/UTC Etc/Universal Etc/Zulu Europe/Belfast Europe/Kyiv Europe/Nicosia Europe/Tiraspol
Europe/Uzhgorod Europe/Zaporozhye GB GB-Eire GMT GMT+0 GMT-0 GMT0 Greenwich HST Hongkong Iceland
Iran Israel Jamaica Japan Kwajalein Libya MET MST MST7MDT Mexico/BajaNorte Mexico/BajaSur
Mexico/General NZ NZ-CHAT Navajo PRC PST8PDT Pacific/Chuuk Pacific/Johnston Pacific/Kanton
Pacific/Pohnpei Pacific/Samoa Pacific/Yap Poland Portugal ROC ROK Singapore Turkey UCT US/Alaska
US/Aleutian US/Arizona US/Central US/East-Indiana US/Eastern US/Hawaii US/Indiana-Starke
US/Michigan US/Mountain US/Pacific US/Samoa UTC Universal W-SU WET Zulu
`
  .trim()
  .split(/\s+/);
