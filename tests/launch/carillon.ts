import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { isAlive } from '../../lib/processes';
import { ourScript } from '../../workers/launch/ourScript';
import { freeBlock, freePort, isPortTaken } from '../../workers/launch/ports';
import { testGround } from '../support/ground';

// The ports that follow the first are those of more workers.
const mostWorkerProcesses = 4;

/** Where everything of one installation listens. */
export interface CarillonPorts {
  API_PORT: number;
  POSTGRES_PORT: number;
  TEMPORAL_PORT: number;
  TEMPORAL_UI_PORT: number;
  SANDBOX_PORT: number;
  CODEC_PORT: number;
  WORKER_PORT: number;
}

export async function freePorts(): Promise<CarillonPorts> {
  return {
    API_PORT: await freePort(),
    POSTGRES_PORT: await freePort(),
    TEMPORAL_PORT: await freePort(),
    TEMPORAL_UI_PORT: await freePort(),
    SANDBOX_PORT: await freePort(),
    CODEC_PORT: await freePort(),
    WORKER_PORT: await freeBlock(mostWorkerProcesses),
  };
}

export interface StartedCarillon {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Every JSON line so far. */
  readonly lines: Record<string, unknown>[];
  /** What it wrote to standard error. */
  complaint(): string;
  /** Resolves with the closing line, rejects with the complaint if it ends before. */
  ready(): Promise<Record<string, unknown>>;
  /** Resolves with the exit code. */
  ended(): Promise<number | null>;
}

/** Runs what `npm start` runs, on the data folder and ports given. */
export function startCarillon(options: {
  dataDir: string;
  ports: CarillonPorts;
  args?: string[];
  environment?: Record<string, string>;
}): StartedCarillon {
  const settings = Object.entries(options.ports).map(([name, port]) => [name, String(port)]);
  const child = spawn(process.execPath, [...ourScript('workers/start'), ...(options.args ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...Object.fromEntries(settings),
      CARILLON_DATA_DIR: options.dataDir,
      TEMPORAL_CLI_PATH: testGround().temporalProgram,
      // Of this test's own choosing, whatever the machine has set.
      DATABASE_URL: '',
      TEMPORAL_ADDRESS: '',
      SENDGRID_API_KEY: '',
      ...options.environment,
    },
  });
  const lines: Record<string, unknown>[] = [];
  let complaint = '';
  createInterface({ input: child.stdout }).on('line', (text) => lines.push(JSON.parse(text)));
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  return {
    child,
    pid: child.pid ?? 0,
    lines,
    complaint: () => complaint,
    async ready() {
      for (;;) {
        const last = lines.find(({ msg }) => msg === 'Carillon is ready');
        if (last !== undefined) {
          return last;
        }
        if (child.exitCode !== null || child.signalCode !== null) {
          throw new Error(`Carillon ended: ${complaint}\n${JSON.stringify(lines.slice(-5))}`);
        }
        await wait(50);
      }
    },
    async ended() {
      if (child.exitCode === null && child.signalCode === null) {
        await once(child, 'exit');
      }
      return child.exitCode;
    },
  };
}

/** The names of the ports that are still in use when the time is over; returns early when none is. */
export async function portsStillTaken(ports: CarillonPorts, withinMs: number): Promise<string[]> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const states = await Promise.all(
      Object.entries(ports).map(async ([name, port]) => ((await isPortTaken(port)) ? [name] : [])),
    );
    const taken = states.flat();
    if (taken.length === 0 || Date.now() > deadline) {
      return taken;
    }
    await wait(100);
  }
}

/** Resolves once the condition holds; rejects with the description after the time given. */
export async function eventually(
  description: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) {
      throw new Error(`In vain: ${description}`);
    }
    await wait(100);
  }
}

/** Ends what a failed test left running. */
export async function endFor(carillon: StartedCarillon | undefined): Promise<void> {
  if (carillon !== undefined && isAlive(carillon.pid)) {
    carillon.child.kill('SIGTERM');
    await carillon.ended();
  }
}
