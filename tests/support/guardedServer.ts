import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import type { GuardOrder } from '../../workers/launch/guard';
import { readPid, spawnGuarded } from '../../workers/launch/guarded';

/** A server a test may stop, kill and start again. */
export interface GuardedServer {
  /** The server's own process, not its guard's; another one after a restart. */
  readonly pid: number;
  /** Asks it to stop and resolves once it is gone. */
  stop(): Promise<void>;
  /** SIGKILL to the server; resolves once it is gone. */
  kill9(): Promise<void>;
  /** Starts it again on the same data and port; stops it first if it runs. */
  restart(): Promise<void>;
}

/** Starts a server under a guard, so that it ends with this process whatever happens to it. */
export async function startGuarded(options: {
  name: string;
  order: GuardOrder;
  prepare(): Promise<void>;
  isReady(): Promise<boolean>;
}): Promise<GuardedServer> {
  let running = await launch(options);
  return {
    get pid() {
      return running.pid;
    },
    stop: () => end(running.guard, () => running.guard.kill('SIGTERM')),
    kill9: () => end(running.guard, () => process.kill(running.pid, 'SIGKILL')),
    async restart() {
      await end(running.guard, () => running.guard.kill('SIGTERM'));
      running = await launch(options);
    },
  };
}

const readyTimeoutMs = 60_000;

async function launch(options: {
  name: string;
  order: GuardOrder;
  prepare(): Promise<void>;
  isReady(): Promise<boolean>;
}): Promise<{ guard: ChildProcess; pid: number }> {
  await options.prepare();
  const guard = spawnGuarded(options.order);
  let output = '';
  const keep = (chunk: Buffer) => {
    output = `${output}${chunk.toString()}`.slice(-4000);
  };
  guard.stdout?.on('data', keep);
  guard.stderr?.on('data', keep);
  const deadline = Date.now() + readyTimeoutMs;
  while (!(await options.isReady())) {
    if (guard.exitCode !== null || Date.now() > deadline) {
      guard.kill('SIGTERM');
      throw new Error(`${options.name} did not start:\n${output}`);
    }
    await wait(50);
  }
  const pid = readPid(options.order.pidFile);
  if (pid === undefined) {
    throw new Error(`${options.name} left no pid in ${options.order.pidFile}`);
  }
  return { guard, pid };
}

async function end(guard: ChildProcess, act: () => void): Promise<void> {
  if (guard.exitCode !== null || guard.signalCode !== null) {
    return;
  }
  const gone = once(guard, 'exit');
  act();
  await gone;
}
