import type { WavePlanner } from '../../models/campaigns/planning';

/**
 * A planner for tests that cannot wait for tomorrow: each zone of `startsInMs` is a wave of its own,
 * so many milliseconds from the planning; other zones go with the first one.
 */
export function wavesIn(startsInMs: Record<string, number>, windowMs = 600_000): WavePlanner {
  return ({ groups, now }) => {
    const zones = Object.entries(startsInMs).sort(([, a], [, b]) => a - b);
    const filled = groups.filter((group) => group.customers > 0);
    const zoneWave = new Map<string | null, number>();
    for (const group of filled) {
      const index = zones.findIndex(([zone]) => zone === group.zone);
      zoneWave.set(group.zone, Math.max(index, 0) + 1);
    }
    const waves = zones.map(([zone, ms], index) => ({
      n: index + 1,
      startsAt: new Date(now.getTime() + ms),
      closesAt: new Date(now.getTime() + ms + windowMs),
      zones: [zone],
      customers: filled
        .filter((group) => zoneWave.get(group.zone) === index + 1)
        .reduce((sum, group) => sum + group.customers, 0),
    }));
    return {
      waves: waves.filter((wave) => wave.customers > 0),
      zoneWave,
      zoneLeftOut: new Map(),
      leftOut: { unknownZone: 0, hourPast: 0 },
    };
  };
}
