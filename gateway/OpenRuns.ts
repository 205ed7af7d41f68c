import { AppError } from '../domain/errors';
import { pause } from './pause';

/** A request that is under way. */
interface Stoppable {
  /** Calls off whatever it has under way; it ends by itself then. */
  abort(): void;
}

const patienceMs = 5_000;

/** The requests of a process, which are all called off when it ends. */
export class OpenRuns {
  private readonly runs = new Set<Stoppable>();
  private readonly ended = new AbortController();
  private isClosing = false;

  /** @throws AppError unavailable where the process is ending */
  add(run: Stoppable): void {
    if (this.isClosing) {
      throw closingError();
    }
    this.runs.add(run);
  }

  delete(run: Stoppable): void {
    this.runs.delete(run);
    if (this.isClosing && this.runs.size === 0) {
      this.ended.abort();
    }
  }

  /**
   * Calls all of them off, and waits for what they came to; not for long: what has not ended by then
   * is settled by its estimate, as what a process leaves behind is.
   */
  async close(): Promise<void> {
    this.isClosing = true;
    for (const run of this.runs) {
      run.abort();
    }
    if (this.runs.size > 0) {
      await pause(patienceMs, this.ended.signal);
    }
  }
}

/** Whoever asks again asks a process that lives. */
export function closingError(): AppError {
  return new AppError('unavailable', 'llmUnavailable', 'This process is ending: ask again.', {
    retryAfterSeconds: 1,
  });
}
