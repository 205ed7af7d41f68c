import { mostLaneSize } from '../messages/rateLimits';

// Lanes hide each other's waiting for the provider; more than this only queue for a worker's slots.
const mostLanes = 8;
const callsPerLane = 6;
// Where a process has its hands full its other lanes wait, and each of them costs an activity, its
// heartbeats and a workflow task. Small dispatches take less than a second each, and lanes whose
// waves are through help with others.
const smallPerLane = 24;

/**
 * How many lanes work on a wave. Its dispatches are calls of many, or small: of single calls or of few
 * people.
 */
export function plannedLanes(wave: { dispatches: number; customers: number }): number {
  const isSmall = wave.customers <= wave.dispatches * mostLaneSize;
  return lanesFor(wave.dispatches, isSmall ? smallPerLane : callsPerLane);
}

/** The same as workflows counted them before plans told them. */
export function laneCount({ dispatches }: { dispatches: number }): number {
  return lanesFor(dispatches, callsPerLane);
}

function lanesFor(dispatches: number, perLane: number): number {
  return Math.min(Math.max(Math.ceil(dispatches / perLane), 1), mostLanes);
}
