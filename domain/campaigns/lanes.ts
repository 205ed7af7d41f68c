// Lanes hide each other's waiting for the provider; more than this only queue for a worker's slots.
const mostLanes = 8;
const callsPerLane = 6;
// Of small dispatches many make the work of a lane, and sharing them keeps all workers busy to the end.
const smallDispatch = 256;
const smallPerLane = 3;

/** How many lanes work on a wave: its dispatches are calls, or, where they are small, parts of a lane. */
export function laneCount(wave: { dispatches: number; customers: number }): number {
  const isSmall = wave.customers <= wave.dispatches * smallDispatch;
  return lanesFor(wave.dispatches, isSmall ? smallPerLane : callsPerLane);
}

/** The same as workflows counted them before they were told. */
export function lanesOfCalls(dispatches: number): number {
  return lanesFor(dispatches, callsPerLane);
}

function lanesFor(dispatches: number, perLane: number): number {
  return Math.min(Math.max(Math.ceil(dispatches / perLane), 1), mostLanes);
}
