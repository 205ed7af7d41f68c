// Lanes hide each other's waiting for the provider; more than this only queue for a worker's slots.
const mostLanes = 8;
// Calls of many, or dispatches of single calls. Where a process has its hands full its other lanes
// wait, and each of them costs an activity, its heartbeats and a workflow task.
const dispatchesPerLane = 6;

/**
 * How many lanes work on a wave. Workflows that were planned before plans told it count by this
 * themselves: while there are any, another rule needs a name of its own.
 */
export function laneCount({ dispatches }: { dispatches: number }): number {
  return Math.min(Math.max(Math.ceil(dispatches / dispatchesPerLane), 1), mostLanes);
}
