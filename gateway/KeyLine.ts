import { Turns, type Turn } from '../domain/llm/turns';
import type { Ring } from './types';

/** Somebody who waits for a key. */
export interface WaitAsk extends Turn {
  /** Those that are alike are refused alike: of these one is asked each time. Null: like nobody. */
  readonly kind: string | null;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Takes what there is; false to wait on. */
  readonly take: () => boolean;
}

interface Waiting extends WaitAsk {
  readonly leave: (isServed: boolean) => void;
}

/**
 * Those who wait for a key in this process, of whichever pool. When one may have become free they are
 * asked by class, and within a class tenants take turns, so that whoever has hundreds of calls waiting
 * holds up nobody who has one.
 */
export class KeyLine {
  private readonly turns = new Turns<Waiting>();
  /** When the last of them gives up. */
  private lastAt = 0;
  private following: AbortController | null = null;

  constructor(private readonly ring: Pick<Ring, 'changed'>) {}

  /** Whether it was served: false where its time is over, or whoever asked is gone. */
  wait(ask: WaitAsk): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting: Waiting = {
        ...ask,
        leave: (isServed) => {
          clearTimeout(timer);
          ask.signal.removeEventListener('abort', giveUp);
          resolve(isServed);
        },
      };
      const giveUp = () => {
        this.turns.delete(waiting, ask);
        waiting.leave(false);
        this.rest();
      };
      const timer = setTimeout(giveUp, ask.timeoutMs);
      ask.signal.addEventListener('abort', giveUp, { once: true });
      if (ask.signal.aborted) {
        waiting.leave(false);
        return;
      }
      this.turns.add(waiting, ask);
      this.lastAt = Math.max(this.lastAt, Date.now() + ask.timeoutMs);
      if (this.following === null) {
        void this.follow();
      }
    });
  }

  /** Gives those who wait what there is: before whoever comes takes it. */
  serve(): void {
    if (this.turns.size === 0) {
      return;
    }
    const refused = new Set<string>();
    this.turns.offer(({ kind, take, leave }) => {
      if (kind !== null && refused.has(kind)) {
        return false;
      }
      if (take()) {
        leave(true);
        return true;
      }
      if (kind !== null) {
        refused.add(kind);
      }
      return false;
    });
    this.rest();
  }

  private async follow(): Promise<void> {
    const following = new AbortController();
    this.following = following;
    while (!following.signal.aborted) {
      await this.ring.changed(this.lastAt - Date.now(), following.signal);
      this.serve();
    }
  }

  // When nobody waits, nobody looks.
  private rest(): void {
    if (this.turns.size === 0) {
      this.following?.abort();
      this.following = null;
      this.lastAt = 0;
    }
  }
}
