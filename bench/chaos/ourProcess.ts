import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { until } from '../../tests/support/conditions';
import { isOk, spawnOurs } from '../../workers/launch/parts';

export interface ProcessOrder {
  name: string;
  /** One of our scripts, without extension. */
  script: string;
  flags?: string[];
  environment: Record<string, string | undefined>;
  /** Answers 2xx once the process does its work. */
  readyUrl: string;
  /** Everything it prints, over all its lives. */
  logFile: string;
  /** Set: it is started again so long after it ended, whatever ended it. */
  restartAfterMs?: number;
}

const readyTimeoutMs = 60_000;
const stopTimeoutMs = 12_000;
const finishTimeoutMs = 600_000;

/** One of our own processes that may be killed, frozen and brought back; it never outlives us. */
export class OurProcess {
  /** How often it was started. */
  lives = 0;
  /** How its last life ended: the code of its own exit, or the signal that killed it. */
  endedBy: number | NodeJS.Signals | null = null;
  private child: ChildProcess | undefined;
  private isWanted = false;
  private readonly log: WriteStream;

  constructor(private readonly order: ProcessOrder) {
    this.log = createWriteStream(order.logFile, { flags: 'a' });
  }

  get name(): string {
    return this.order.name;
  }

  get pid(): number {
    if (this.child?.pid === undefined) {
      throw new Error(`${this.name} does not run`);
    }
    return this.child.pid;
  }

  /** Starts it and resolves when it is ready. */
  async start(): Promise<void> {
    this.isWanted = true;
    this.launch();
    await this.ready();
  }

  /** Starts it and resolves with how it ended by itself. */
  async finish(): Promise<number | NodeJS.Signals | null> {
    this.isWanted = false;
    this.launch();
    await until('its end', () => this.child === undefined, finishTimeoutMs);
    return this.endedBy;
  }

  /** Resolves when the living process is ready, and fails when it is given up. */
  async ready(timeoutMs = readyTimeoutMs): Promise<void> {
    await until(
      `${this.name} to be ready (see ${this.order.logFile})`,
      async () => {
        if (this.child === undefined && this.order.restartAfterMs === undefined) {
          throw new Error(`${this.name} ended before it was ready: see ${this.order.logFile}`);
        }
        return this.child !== undefined && isOk(this.order.readyUrl);
      },
      timeoutMs,
    );
  }

  /** SIGKILL; resolves once it is gone. It comes back by itself if it is to be restarted. */
  async kill9(): Promise<void> {
    const { child } = this;
    if (child !== undefined) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
  }

  /** SIGSTOP: it keeps its connections and its memory, and does nothing at all. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  /** Asks it to end, then kills it; it is not started again. */
  async stop(): Promise<void> {
    this.isWanted = false;
    const { child } = this;
    if (child !== undefined) {
      const gone = once(child, 'exit');
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      await gone;
      clearTimeout(timer);
    }
  }

  private launch(): void {
    const { script, flags, environment } = this.order;
    const child = spawnOurs(script, { ...(flags === undefined ? {} : { flags }), environment });
    this.child = child;
    this.lives += 1;
    child.stdout?.pipe(this.log, { end: false });
    child.stderr?.pipe(this.log, { end: false });
    child.once('exit', (code, signal) => {
      this.child = undefined;
      this.endedBy = signal ?? code;
      void this.comeBack();
    });
  }

  private async comeBack(): Promise<void> {
    const { restartAfterMs } = this.order;
    if (!this.isWanted || restartAfterMs === undefined) {
      return;
    }
    await wait(restartAfterMs);
    if (this.isWanted && this.child === undefined) {
      this.launch();
    }
  }
}
