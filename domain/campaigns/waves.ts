import { addDays, localDate, localInstant } from './localInstant';
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

/** One UTC instant of a plan, and the customers whose messages leave from then on. */
export interface PlannedWave {
  /** 1 for the earliest wave. */
  n: number;
  startsAt: Date;
  closesAt: Date;
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
 * wave; every group is either in `zoneWave` or in `zoneLeftOut`. Groups without customers are
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
  const placed = new Map<number, PlacedGroup[]>();
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
    const atInstant = placed.get(place.startsAt.getTime());
    if (atInstant) {
      atInstant.push({ group, zone: place.zone });
    } else {
      placed.set(place.startsAt.getTime(), [{ group, zone: place.zone }]);
    }
  }
  const windowMs = (spec.windowMinutes ?? DEFAULT_WINDOW_MINUTES) * 60_000;
  const inOrder = [...placed].sort(([a], [b]) => a - b);
  for (const [index, [startsAtMs, members]] of inOrder.entries()) {
    const n = index + 1;
    plan.waves.push({
      n,
      startsAt: new Date(startsAtMs),
      closesAt: new Date(startsAtMs + windowMs),
      zones: [...new Set(members.flatMap(({ zone }) => zone ?? []))].sort(),
      customers: members.reduce((sum, { group }) => sum + group.customers, 0),
    });
    for (const { group } of members) {
      plan.zoneWave.set(group.zone, n);
    }
  }
  return plan;
}

interface PlacedGroup {
  group: ZoneGroup;
  zone: string | null;
}

type Place = { startsAt: Date; zone: string | null } | { leftOut: ZoneLeftOutReason };

function placeGroup(spec: WaveSpec, group: ZoneGroup, tenantZone: string, now: Date): Place {
  const known = group.zone === null ? null : canonicalZone(group.zone);
  switch (spec.kind) {
    case 'now':
      return { startsAt: now, zone: known };
    case 'instant':
      return { startsAt: parseInstant(spec.at), zone: known };
    case 'localHour': {
      const zone = known ?? standInZone(spec.unknownZone, tenantZone);
      if (zone === null) {
        return { leftOut: 'unknownZone' };
      }
      const startsAt = hourStart(zone, spec, now);
      return startsAt === null ? { leftOut: 'hourPast' } : { startsAt, zone };
    }
  }
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
    case 'tenant': {
      const zone = canonicalZone(tenantZone);
      if (zone === null) {
        throw new RangeError(`unknown time zone of the tenant: ${tenantZone}`);
      }
      return zone;
    }
  }
}

function hourStart(
  zone: string,
  spec: Extract<WaveSpec, { kind: 'localHour' }>,
  now: Date,
): Date | null {
  const startsAt = localInstant(zone, spec.date, spec.time);
  if (startsAt >= now) {
    return startsAt;
  }
  switch (spec.hourPast) {
    case 'skip':
      return null;
    case 'sendNow':
      return now;
    case 'nextDay':
      return nextOccurrence(zone, spec, now);
  }
}

function nextOccurrence(zone: string, wall: { date: string; time: string }, now: Date): Date {
  // Yesterday's hour can still lie ahead where a skipped day moved it into today, so the search
  // starts there, and never on the day that was asked for first.
  const yesterday = addDays(localDate(zone, now), -1);
  const dayAfter = addDays(wall.date, 1);
  let date = yesterday > dayAfter ? yesterday : dayAfter;
  for (;;) {
    const startsAt = localInstant(zone, date, wall.time);
    if (startsAt >= now) {
      return startsAt;
    }
    date = addDays(date, 1);
  }
}
