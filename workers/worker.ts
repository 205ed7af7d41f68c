import { createServer, type Server } from 'node:http';
import type { DataConverter } from '@temporalio/common';
import { Worker, type NativeConnection, type WorkerOptions } from '@temporalio/worker';
import { createActivities, type ActivityDeps } from '../activities';
import type { Logger } from '../lib/logger';
import { queues } from '../workflows/queues';
import { createActivityContexts } from './activityContexts';
import { everyQueue, type QueueName } from './queueChoice';

export interface WorkerSettings {
  connection: NativeConnection;
  namespace: string;
  /** All of them when not given. */
  queues?: readonly QueueName[];
  /** Shown to operators as who did the work. */
  identity: string;
  /** Workflow code, bundled beforehand; without it the worker bundles it itself. */
  bundlePath?: string;
  /** The same as of every client. */
  dataConverter: DataConverter;
  deps: ActivityDeps;
}

export interface RunningWorker {
  /** Resolves when it has stopped, rejects when it failed. */
  finished: Promise<void>;
  /** Stops taking work, lets calls that left be settled, and resolves. */
  stop(): Promise<void>;
}

/**
 * One process's worker over its queues. Slices of email campaigns have more slots than a node has
 * waves at one instant, so that no wave waits for another one's slice to end.
 */
export async function startWorker(settings: WorkerSettings): Promise<RunningWorker> {
  const shared = {
    connection: settings.connection,
    namespace: settings.namespace,
    identity: settings.identity,
    dataConverter: settings.dataConverter,
    // Slices are told at once and end after the call they are in, within seconds.
    shutdownGraceTime: '0s',
    shutdownForceTime: '8s',
    // The default tells a slice of its cancellation only after 6 to 9 s.
    maxHeartbeatThrottleInterval: '500ms',
    defaultHeartbeatThrottleInterval: '500ms',
    interceptors: { activity: [createActivityContexts(settings.connection)] },
  } satisfies Partial<WorkerOptions>;
  const activities = createActivities(settings.deps);
  const ownOptions: Record<QueueName, Partial<WorkerOptions>> = {
    workflows:
      settings.bundlePath === undefined
        ? { workflowsPath: require.resolve('../workflows') }
        : { workflowBundle: { codePath: settings.bundlePath } },
    records: { activities, maxConcurrentActivityTaskExecutions: 20 },
    email: { activities, maxConcurrentActivityTaskExecutions: 100 },
    // More than there are lanes, so that all of them find room in one process.
    transactional: { activities, maxConcurrentActivityTaskExecutions: 4 },
    llm: { activities, maxConcurrentActivityTaskExecutions: 20 },
  };
  const workers = await Promise.all(
    (settings.queues ?? everyQueue).map((name) =>
      Worker.create({ ...shared, ...ownOptions[name], taskQueue: queues[name] }),
    ),
  );
  const running = workers.map((worker) => worker.run());
  return {
    finished: Promise.all(running).then(() => undefined),
    async stop() {
      for (const worker of workers) {
        if (worker.getState() === 'RUNNING') {
          worker.shutdown();
        }
      }
      await Promise.all(running);
    },
  };
}

/** Answers /health, /ready and /metrics of a process that has no API. */
export function serveHealth(options: {
  host: string;
  port: number;
  logger: Logger;
  check(): Promise<void>;
  metrics(): Promise<string>;
}): Server {
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = 'application/json') => {
      response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' });
      response.end(body);
    };
    const path = request.url?.split('?')[0];
    if (path === '/health') {
      answer(200, '{"status":"alive"}');
    } else if (path === '/ready') {
      options.check().then(
        () => answer(200, '{"status":"ready"}'),
        (error: unknown) => {
          options.logger.warn({ err: error }, 'not ready');
          answer(503, '{"status":"not ready"}');
        },
      );
    } else if (path === '/metrics') {
      options.metrics().then(
        (text) => answer(200, text, 'text/plain; version=0.0.4'),
        () => answer(500, ''),
      );
    } else {
      answer(404, '{"status":"not found"}');
    }
  });
  return server.listen(options.port, options.host);
}
