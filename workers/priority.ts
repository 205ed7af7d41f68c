import os from 'node:os';
import type { Logger } from '../lib/logger';
import type { QueueName } from './queueChoice';

const niceOfTransactional = -10;
const niceOfBulk = 10;

/**
 * Lets the operating system prefer a process that serves transactional messages alone, and put off one
 * that serves everything else; whoever serves both stays as it is. Going first is a right that only
 * some users have: without it the others' stepping back is what there is.
 */
export function setPriorityFor(queues: readonly QueueName[], logger: Logger): void {
  const isLane = queues.includes('transactional');
  if (isLane && queues.length > 1) {
    return;
  }
  try {
    os.setPriority(isLane ? niceOfTransactional : niceOfBulk);
  } catch (error) {
    logger.info({ err: error }, 'the priority of this process stays as it is');
  }
}
