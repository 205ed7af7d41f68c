/**
 * A process of its own that owns one server we did not write (Postgres, Temporal) and never lets it
 * outlive us: it stops the server when told to, when its standard input closes or when its parent is
 * gone, however the parent ended.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';

/** What the guard is told, as JSON in its first argument. */
export interface GuardOrder {
  command: string;
  args: string[];
  uid?: number;
  gid?: number;
  /** How this server is asked to stop. */
  stopSignal: 'SIGINT' | 'SIGTERM';
  /** After this long it is killed. */
  stopTimeoutMs: number;
  /** Holds the server's pid while it lives, for whoever comes after a crash. */
  pidFile: string;
}

const parentCheckMs = 500;

function guard(order: GuardOrder): void {
  const parent = process.ppid;
  const server = spawn(order.command, order.args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    // A group of its own: Ctrl-C on the terminal reaches the supervisor alone, which stops in order.
    detached: true,
    ...(order.uid === undefined ? {} : { uid: order.uid, gid: order.gid }),
  });
  if (server.pid !== undefined) {
    writeFileSync(order.pidFile, `${server.pid}\n`);
  }

  const stop = stopOnce(server, order);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', stop);
  process.stdin.on('close', stop).on('error', stop).resume();
  setInterval(() => {
    if (process.ppid !== parent) {
      stop();
    }
  }, parentCheckMs);

  server.on('error', (error) => {
    tell(error.message);
    process.exit(127);
  });
  server.on('exit', (code, signal) => {
    rmSync(order.pidFile, { force: true });
    if (signal !== null) {
      tell(`ended by ${signal}`);
    }
    process.exit(code ?? 1);
  });
}

function stopOnce(server: ChildProcess, order: GuardOrder): () => void {
  let stopping = false;
  return () => {
    if (stopping) {
      return;
    }
    stopping = true;
    server.kill(order.stopSignal);
    setTimeout(() => killGroup(server), order.stopTimeoutMs);
  };
}

function killGroup(server: ChildProcess): void {
  if (server.pid === undefined) {
    return;
  }
  try {
    process.kill(-server.pid, 'SIGKILL');
  } catch {
    server.kill('SIGKILL');
  }
}

// Nobody may be reading any more: the pipe's other end can be what has just died.
function tell(text: string): void {
  process.stderr.on('error', () => undefined);
  process.stderr.write(`${text}\n`);
}

const order = process.argv[2];
if (order !== undefined) {
  guard(JSON.parse(order));
}
