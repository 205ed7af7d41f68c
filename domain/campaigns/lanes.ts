// Lanes hide each other's waiting for the provider; more than this only queue for a worker's slots.
const dispatchesPerLane = 6;
const mostLanes = 8;

/** How many lanes work on a wave that holds so many calls. */
export function laneCount(dispatches: number): number {
  return Math.min(Math.max(Math.ceil(dispatches / dispatchesPerLane), 1), mostLanes);
}
