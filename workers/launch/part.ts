import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { eachLine, type Output } from './output';

/** One process under the supervisor: how it is started, known to be ready, and stopped. */
export interface PartOrder {
  name: string;
  /** Starts the process; called again for every restart, so it also clears away what a crash left. */
  launch(): Promise<ChildProcess>;
  isReady(): Promise<boolean>;
  readyTimeoutMs: number;
  /** Its lines while it stops are of no interest: it only complains about its own end. */
  isQuietAtEnd?: boolean;
  /** Ends it without asking; for a guarded server that is not the child itself. */
  kill(child: ChildProcess): void;
}

const firstDelayMs = 500;
const longestDelayMs = 15_000;
const healthyAfterMs = 60_000;
const readyPollMs = 100;
const recycleTimeoutMs = 8000;
const deathsBeforeGivingUp = 3;

/** Keeps one process running: started again with growing delays whenever it ends unasked. */
export class Part {
  private child: ChildProcess | undefined;
  private life: Promise<void> | undefined;
  private isWanted = false;
  private isRecycled = false;
  private readonly pause = new AbortController();
  private lastLines: string[] = [];

  constructor(
    private readonly order: PartOrder,
    private readonly output: Output,
  ) {}

  get name(): string {
    return this.order.name;
  }

  /**
   * Resolves when the part is ready for the first time. Rejects when it does not get there: it ended
   * three times, or took too long; nothing runs then.
   */
  start(): Promise<void> {
    this.isWanted = true;
    return new Promise((resolve, reject) => {
      this.life = this.live({ resolve, reject });
    });
  }

  /** Asks the process to stop, kills it after the time given; resolves once it is gone. */
  async stop(timeoutMs: number): Promise<void> {
    this.isWanted = false;
    this.pause.abort();
    this.child?.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), timeoutMs);
    await this.life;
    clearTimeout(timer);
  }

  /** Ends the process without asking; it is not started again. */
  kill(): void {
    this.isWanted = false;
    this.pause.abort();
    if (this.child !== undefined) {
      this.order.kill(this.child);
    }
  }

  /** Stops the running process and starts it again at once, as after a change of its code. */
  recycle(): void {
    const { child } = this;
    if (child === undefined) {
      return;
    }
    this.isRecycled = true;
    child.kill('SIGTERM');
    const timer = setTimeout(() => this.order.kill(child), recycleTimeoutMs);
    child.once('exit', () => clearTimeout(timer));
  }

  private async live(first: {
    resolve: () => void;
    reject: (error: Error) => void;
  }): Promise<void> {
    let delayMs = firstDelayMs;
    let deaths = 0;
    let wasReady = false;
    while (this.isWanted) {
      this.isRecycled = false;
      const run = await this.runOnce({ isFirst: !wasReady, onReady: first.resolve });
      wasReady ||= run.readyForMs !== undefined;
      if (!this.isWanted) {
        break;
      }
      if (this.isRecycled) {
        continue;
      }
      deaths += 1;
      if (!wasReady && (run.isHopeless || deaths >= deathsBeforeGivingUp)) {
        this.isWanted = false;
        first.reject(new Error(this.story(run.ending)));
        return;
      }
      if ((run.readyForMs ?? 0) >= healthyAfterMs) {
        delayMs = firstDelayMs;
      }
      this.output.say(this.name, `${run.ending}; starting again in ${delayMs / 1000} s`, 'warn');
      await wait(delayMs, undefined, { signal: this.pause.signal }).catch(() => undefined);
      delayMs = Math.min(delayMs * 2, longestDelayMs);
    }
    first.reject(new Error(`${this.name} was stopped before it was ready`));
  }

  // One life of the process, from launch to exit.
  private async runOnce(options: { isFirst: boolean; onReady: () => void }): Promise<Run> {
    let child: ChildProcess;
    try {
      child = await this.order.launch();
    } catch (error) {
      return { ending: error instanceof Error ? error.message : String(error), isHopeless: true };
    }
    this.child = child;
    this.lastLines = [];
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) {
        eachLine(stream, (text) => this.hear(text));
      }
    }
    const gone = endingOf(child);
    let hasEnded = false;
    void gone.then(() => {
      hasEnded = true;
    });
    if (!this.isWanted) {
      child.kill('SIGTERM');
    }

    const launchedAt = Date.now();
    let readyAt: number | undefined;
    let isLate = false;
    while (!hasEnded && readyAt === undefined) {
      if (await this.order.isReady()) {
        readyAt = Date.now();
        options.onReady();
      } else if (
        options.isFirst &&
        !isLate &&
        Date.now() - launchedAt > this.order.readyTimeoutMs
      ) {
        isLate = true;
        this.order.kill(child);
      }
      await Promise.race([gone, wait(readyPollMs)]);
    }
    const ending = await gone;
    this.child = undefined;
    return {
      ending: isLate ? `was not ready after ${this.order.readyTimeoutMs / 1000} s` : ending,
      isHopeless: isLate,
      readyForMs: readyAt === undefined ? undefined : Date.now() - readyAt,
    };
  }

  private hear(text: string): void {
    if (this.order.isQuietAtEnd && !this.isWanted) {
      return;
    }
    // Stack frames would push out the line that says what happened.
    if (!/^\s+at /.test(text)) {
      this.lastLines = [...this.lastLines.slice(-7), text];
    }
    this.output.line(this.name, text);
  }

  private story(ending: string): string {
    const lines = this.lastLines.map((line) => `    ${line}`).join('\n');
    return lines === ''
      ? `${this.name}: ${ending}`
      : `${this.name}: ${ending}. Its last lines:\n${lines}`;
  }
}

interface Run {
  ending: string;
  /** Trying again would end the same way. */
  isHopeless: boolean;
  readyForMs?: number | undefined;
}

async function endingOf(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) {
    try {
      await once(child, 'exit');
    } catch (error) {
      return `could not be started (${error instanceof Error ? error.message : String(error)})`;
    }
  }
  return child.signalCode === null
    ? `ended with code ${child.exitCode}`
    : `was ended by ${child.signalCode}`;
}
