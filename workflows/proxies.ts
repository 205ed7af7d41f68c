import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities';
import { queues } from './queues';

/** Short statements on the ledger: retried for as long as the database is away. */
export const records = proxyActivities<Activities>({
  taskQueue: queues.records,
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

/** One long transaction; it heartbeats after each time zone. */
export const planning = proxyActivities<Activities>({
  taskQueue: queues.records,
  startToCloseTimeout: '30 minutes',
  heartbeatTimeout: '2 minutes',
  retry: { initialInterval: '1s', maximumInterval: '30s' },
});

/**
 * Slices return by themselves after about 30 s and heartbeat several times a second. A stopped
 * slice is always waited for: only then is it known what it has left behind.
 */
export const slices = proxyActivities<Activities>({
  taskQueue: queues.email,
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '15s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

/** Runs for about a minute and starts again; what it applies is stored already. */
export const eventWork = proxyActivities<Activities>({
  taskQueue: queues.records,
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '15s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});
