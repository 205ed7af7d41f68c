import type { Server } from 'node:http';
import type { Logger } from './logger';
import { exitWithParent } from './parentWatch';

// The supervisor kills what is still there after ten seconds.
const stopWithinMs = 7_500;

/** Something that can be listened with: an application of Koa. */
interface Listening {
  listen(port: number, host: string): Server;
}

/** Resolves when the port is taken, rejects when it cannot be. */
export function listen(app: Listening, at: { port: number; host: string }): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = app.listen(at.port, at.host);
    server.once('error', reject);
    server.once('listening', () => resolve(server));
  });
}

/**
 * Serves until the process is asked to stop or its parent is gone: takes no new connection then, lets
 * running requests finish, releases what they needed, and exits.
 */
export function stopWithProcess(options: {
  server: Server;
  logger: Logger;
  parentPid: number | undefined;
  release: () => Promise<unknown>;
}): void {
  const { server, logger, parentPid, release } = options;
  const stop = stopOnce(logger, async () => {
    await closeServer(server, stopWithinMs - 1_000);
    await release();
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  exitWithParent(parentPid, stop);
}

/** Takes no new connection, lets running requests finish, and cuts what takes longer than that. */
export function closeServer(server: Server, cutAfterMs: number): Promise<void> {
  return new Promise((resolve) => {
    // A connection kept alive is idle only once its last answer is out.
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    const cut = setTimeout(() => server.closeAllConnections(), cutAfterMs);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
  });
}

function stopOnce(logger: Logger, stop: () => Promise<void>): () => void {
  let isStopping = false;
  return () => {
    if (isStopping) {
      return;
    }
    isStopping = true;
    logger.info('stopping');
    setTimeout(() => process.exit(1), stopWithinMs).unref();
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'did not stop cleanly');
        process.exit(1);
      },
    );
  };
}
