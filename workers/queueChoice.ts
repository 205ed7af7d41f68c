import { parseArgs } from 'node:util';
import { queues } from '../workflows/queues';

export type QueueName = keyof typeof queues;

const names: readonly string[] = Object.keys(queues);

/** All queues there are. */
export const everyQueue: readonly QueueName[] = names.filter(isQueueName);

/**
 * The queues a worker process is to serve: `--queues=workflows,records`, or all of them. Throws with a
 * sentence about what is wrong.
 */
export function parseQueues(args: string[]): readonly QueueName[] {
  const { values } = parseArgs({ args, options: { queues: { type: 'string' } } });
  if (values.queues === undefined) {
    return everyQueue;
  }
  const given = [...new Set(values.queues.split(',').map((name) => name.trim()))];
  const unknown = given.filter((name) => !isQueueName(name));
  if (unknown.length > 0) {
    throw new Error(`--queues knows ${names.join(', ')}, and not "${unknown.join('", "')}".`);
  }
  return given.filter(isQueueName);
}

function isQueueName(name: string): name is QueueName {
  return Object.hasOwn(queues, name);
}
