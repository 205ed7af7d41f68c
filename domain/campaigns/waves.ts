import { addDays, localDate, localInstant } from './localInstant';
import { nextQuiet, quietUntil, type QuietHours } from './quietHours';
import { canonicalZone } from './zones';

const DEFAULT_WINDOW_MINUTES = 60;

/** What becomes of customers whose zone is not known here: the tenant's zone, UTC, or left out. */
export type UnknownZonePolicy = 'tenant' | 'utc' | 'skip';

/** What becomes of customers whose local hour is over when the run is planned. */
export type HourPastPolicy = 'sendNow' | 'nextDay' | 'skip';

/** When a campaign's messages may leave, as its author said it. */
export type WaveSpec = {
  /** How long each wave stays open after its start; 60 when not given. */
  windowMinutes?: number;
  /** When nothing may leave, whatever else is said; by the zone's own clock. */
  quietHours?: QuietHours | null;
} & (
  | { kind: 'now' }
  | { kind: 'instant'; at: string }
  | {
      kind: 'localHour';
      date: string;
      time: string;
      unknownZone: UnknownZonePolicy;
      hourPast: HourPastPolicy;
    }
);

/** How many customers of the audience have this stored zone. */
export interface ZoneGroup {
  zone: string | null;
  customers: number;
}

/** Why a wave begins later than its schedule says. */
export type WaveWait = 'quietHours' | 'frequencyCap';

/** One UTC instant of a plan, and the customers whose messages leave from then on. */
export interface PlannedWave {
  /** 1 for the earliest wave. */
  n: number;
  startsAt: Date;
  closesAt: Date;
  /** What put it off, where it would have begun earlier. */
  waitsFor?: WaveWait;
  /** Canonical names, sorted; an unknown zone shows as the one it was given, if any. */
  zones: string[];
  customers: number;
}

/** Why a whole zone's customers are not in the plan. */
export type ZoneLeftOutReason = 'unknownZone' | 'hourPast';

export interface WavePlan {
  waves: PlannedWave[];
  /** The wave's n by stored zone, exactly as the group named it (null included). */
  zoneWave: Map<string | null, number>;
  /** The stored zones that are in no wave, and why. */
  zoneLeftOut: Map<string | null, ZoneLeftOutReason>;
  /** Customers in no wave, by reason. */
  leftOut: Record<ZoneLeftOutReason, number>;
}

/**
 * Puts each zone of an audience into the wave of its instant. Zones that share an instant share a
 * wave if it closes at the same time for them; every group is either in `zoneWave` or in `zoneLeftOut`. Groups without customers are
 * ignored.
 *
 * @throws RangeError for digits that are no date, time or instant, and for a tenant zone that is
 * needed and unknown.
 */
export function planWaves(input: {
  spec: WaveSpec;
  groups: ZoneGroup[];
  tenantZone: string;
  now: Date;
}): WavePlan {
  const { spec, now } = input;
  const groups = input.groups.filter((group) => group.customers > 0);
  const placed = new Map<string, PlacedGroup[]>();
  const plan: WavePlan = {
    waves: [],
    zoneWave: new Map(),
    zoneLeftOut: new Map(),
    leftOut: { unknownZone: 0, hourPast: 0 },
  };
  for (const group of groups) {
    const place = placeGroup(spec, group, input.tenantZone, now);
    if ('leftOut' in place) {
      plan.zoneLeftOut.set(group.zone, place.leftOut);
      plan.leftOut[place.leftOut] += group.customers;
      continue;
    }
    const window = `${place.startsAt.toISOString()}/${place.closesAt.toISOString()}`;
    const sharing = placed.get(window);
    if (sharing) {
      sharing.push({ ...place, group });
    } else {
      placed.set(window, [{ ...place, group }]);
    }
  }
  const inOrder = [...placed].sort(([a], [b]) => a.localeCompare(b));
  for (const [index, [, members]] of inOrder.entries()) {
    const [first] = members;
    if (first === undefined) {
      continue;
    }
    const n = index + 1;
    plan.waves.push({
      n,
      startsAt: first.startsAt,
      closesAt: first.closesAt,
      ...(members.some(({ isPutOff }) => isPutOff) ? { waitsFor: 'quietHours' } : {}),
      zones: [...new Set(members.flatMap(({ zone }) => zone ?? []))].sort(),
      customers: members.reduce((sum, { group }) => sum + group.customers, 0),
    });
    for (const { group } of members) {
      plan.zoneWave.set(group.zone, n);
    }
  }
  return plan;
}

interface Placed {
  startsAt: Date;
  closesAt: Date;
  /** Quiet hours made it later than it was to be. */
  isPutOff: boolean;
  zone: string | null;
}

type PlacedGroup = Placed & { group: ZoneGroup };

function placeGroup(
  spec: WaveSpec,
  group: ZoneGroup,
  tenantZone: string,
  now: Date,
): Placed | { leftOut: ZoneLeftOutReason } {
  const known = group.zone === null ? null : canonicalZone(group.zone);
  if (spec.kind !== 'localHour') {
    const wished = spec.kind === 'now' ? now : parseInstant(spec.at);
    return { ...windowFrom(wished, spec, () => known ?? tenantClock(tenantZone)), zone: known };
  }
  const zone = known ?? standInZone(spec.unknownZone, tenantZone);
  if (zone === null) {
    return { leftOut: 'unknownZone' };
  }
  const window = hourWindow(zone, spec, now);
  return window === null ? { leftOut: 'hourPast' } : { ...window, zone };
}

type Window = Pick<Placed, 'startsAt' | 'closesAt' | 'isPutOff'>;

/** From the instant that is wished for until its window is over, and never in quiet hours. */
function windowFrom(wished: Date, spec: WaveSpec, zoneOf: () => string): Window {
  const quiet = spec.quietHours ?? null;
  const windowMs = (spec.windowMinutes ?? DEFAULT_WINDOW_MINUTES) * 60_000;
  if (quiet === null) {
    return {
      startsAt: wished,
      closesAt: new Date(wished.getTime() + windowMs),
      isPutOff: false,
    };
  }
  const zone = zoneOf();
  const startsAt = quietUntil(zone, quiet, wished) ?? wished;
  const quietAgainMs = nextQuiet(zone, quiet, startsAt).getTime();
  return {
    startsAt,
    closesAt: new Date(Math.min(startsAt.getTime() + windowMs, quietAgainMs)),
    isPutOff: startsAt > wished,
  };
}

function parseInstant(text: string): Date {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) {
    throw new RangeError(`not an instant: ${text}`);
  }
  return at;
}

function standInZone(policy: UnknownZonePolicy, tenantZone: string): string | null {
  switch (policy) {
    case 'skip':
      return null;
    case 'utc':
      return 'UTC';
    case 'tenant':
      return tenantClock(tenantZone);
  }
}

function tenantClock(tenantZone: string): string {
  const zone = canonicalZone(tenantZone);
  if (zone === null) {
    throw new RangeError(`unknown time zone of the tenant: ${tenantZone}`);
  }
  return zone;
}

type LocalHour = Extract<WaveSpec, { kind: 'localHour' }>;

function hourWindow(zone: string, spec: LocalHour, now: Date): Window | null {
  const at = (date: string) => windowFrom(localInstant(zone, date, spec.time), spec, () => zone);
  const asked = at(spec.date);
  if (asked.startsAt >= now) {
    return asked;
  }
  switch (spec.hourPast) {
    case 'skip':
      return null;
    case 'sendNow':
      return windowFrom(now, spec, () => zone);
    case 'nextDay':
      return nextOccurrence(zone, spec, now, at);
  }
}

function nextOccurrence(
  zone: string,
  asked: { date: string },
  now: Date,
  at: (date: string) => Window,
): Window {
  // Yesterday's hour can still lie ahead where a skipped day or quiet hours moved it into today, so
  // the search starts there, and never on the day that was asked for first.
  const yesterday = addDays(localDate(zone, now), -1);
  const dayAfter = addDays(asked.date, 1);
  let date = yesterday > dayAfter ? yesterday : dayAfter;
  for (;;) {
    const window = at(date);
    if (window.startsAt >= now) {
      return window;
    }
    date = addDays(date, 1);
  }
}
