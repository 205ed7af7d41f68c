import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities';
import { queues } from './queues';

/**
 * Short statements on the ledger: retried for as long as the database is away. A worker that is gone
 * or frozen is missed only when the time is over, so it is as short as a count of millions allows.
 */
export const records = proxyActivities<Activities>({
  taskQueue: queues.records,
  startToCloseTimeout: '20s',
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

/** Looks at every open run and heartbeats at each. */
export const reconciling = proxyActivities<Activities>({
  taskQueue: queues.records,
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '30s',
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

/** One long transaction that heartbeats all the time, so that a lost worker costs seconds. */
export const planning = proxyActivities<Activities>({
  taskQueue: queues.records,
  startToCloseTimeout: '30 minutes',
  heartbeatTimeout: '15s',
  retry: { initialInterval: '1s', maximumInterval: '30s' },
});

/**
 * Slices return by themselves after about a minute and heartbeat every 7 s. A stopped
 * slice is always waited for: only then is it known what it has left behind.
 */
export const slices = proxyActivities<Activities>({
  taskQueue: queues.email,
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '15s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

/**
 * Slices of the lanes of transactional messages: a minute each. They heartbeat every second, so that
 * what a lost worker held is taken up soon.
 */
export const transactionalSlices = proxyActivities<Activities>({
  taskQueue: queues.transactional,
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '5s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '200ms', maximumInterval: '5s' },
});

/** Runs for about a minute and starts again; what it applies is stored already. */
export const eventWork = proxyActivities<Activities>({
  taskQueue: queues.records,
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '15s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

/**
 * A test of a campaign: its record lets only the first attempt call, so that another one just finds
 * out what is known. A minute is well above ten seconds of waiting for turns and the longest a provider is
 * waited for.
 */
export const testCalls = proxyActivities<Activities>({
  taskQueue: queues.email,
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

/**
 * Settles doubts of a run for some ten seconds, asking its vendor. Whoever waits for it goes on without
 * when it does not come about: events, people and the run's review settle doubts as well.
 */
export const doubtWork = proxyActivities<Activities>({
  taskQueue: queues.email,
  startToCloseTimeout: '2 minutes',
  scheduleToCloseTimeout: '3 minutes',
  heartbeatTimeout: '30s',
  retry: { initialInterval: '1s', maximumInterval: '10s', maximumAttempts: 3 },
});

/**
 * Has content written: a call or a few of a model, heartbeating. What waits for a key comes back when
 * the gateway said so; after half an hour nobody waits for it any more.
 */
export const contentCalls = proxyActivities<Activities>({
  taskQueue: queues.llm,
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: '30 minutes',
  heartbeatTimeout: '15s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '1s', maximumInterval: '1 minute' },
});

/** Seals values again for some seconds, heartbeating at each batch: a lost worker costs one of them. */
export const resealingWork = proxyActivities<Activities>({
  taskQueue: queues.records,
  startToCloseTimeout: '2 minutes',
  heartbeatTimeout: '15s',
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

/**
 * Asks a vendor of models one thing, within ten seconds, and writes down what it says. Whoever waits for
 * it goes on without when it does not come about, and has it done again later.
 */
export const llmProbes = proxyActivities<Activities>({
  taskQueue: queues.llm,
  startToCloseTimeout: '20s',
  scheduleToCloseTimeout: '2 minutes',
  retry: { initialInterval: '1s', maximumInterval: '10s', maximumAttempts: 4 },
});

/** Asks every second for ten seconds, heartbeating each time. */
export const llmBursts = proxyActivities<Activities>({
  taskQueue: queues.llm,
  startToCloseTimeout: '40s',
  scheduleToCloseTimeout: '1 minute',
  heartbeatTimeout: '15s',
  retry: { initialInterval: '1s', maximumAttempts: 2 },
});
