import type { Client } from 'pg';
import type { Knex } from './db';

/** A channel that is listened to; what was told is remembered until somebody waits. */
export interface Notifications {
  /** Resolves when something was told since the last call, after the time, or when asked to stop. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** As if it had been told now. */
  tell(): void;
  /** Whether it listens at this moment. */
  isListening(): boolean;
  close(): Promise<void>;
}

const ignore = () => undefined;

/**
 * Listens on a connection of its own, outside the pool, and makes a new one when it is lost. What is
 * told in between is lost too: whoever waits also looks by themselves from time to time.
 */
export function listenTo(
  db: Knex,
  channel: string,
  /** Handed what was told, at once; null when it begins to listen: whatever was told before is lost. */
  hear: (payload: string | null) => void = ignore,
): Notifications {
  let connection: Client | null = null;
  let isClosed = false;
  let isTold = false;
  let wake: () => void = ignore;
  let opening = open();

  return {
    async next(timeoutMs, signal) {
      if (!isTold && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(end, timeoutMs);
          signal.addEventListener('abort', end, { once: true });
          wake = end;
          function end(): void {
            clearTimeout(timer);
            signal.removeEventListener('abort', end);
            wake = ignore;
            resolve();
          }
        });
      }
      isTold = false;
      if (connection === null) {
        opening = opening.then(open);
      }
    },
    tell,
    isListening: () => connection !== null,
    async close() {
      isClosed = true;
      await opening;
      await connection?.end().catch(ignore);
    },
  };

  async function open(): Promise<void> {
    if (connection !== null || isClosed) {
      return;
    }
    let opened: Client | null = null;
    try {
      opened = await connect();
      await opened.query(`listen ${channel}`);
      connection = opened;
      // What was told before.
      hear(null);
      tell();
    } catch {
      // The next wait tries again.
      await opened?.end().catch(ignore);
    }
  }

  async function connect(): Promise<Client> {
    const opened: Client = await db.client.acquireRawConnection();
    opened.on('notification', ({ payload }) => {
      hear(payload ?? null);
      tell();
    });
    opened.on('error', lose);
    opened.on('end', lose);
    function lose(): void {
      if (connection === opened) {
        connection = null;
        // Whoever waits is to open another one.
        tell();
      }
    }
    return opened;
  }

  function tell(): void {
    isTold = true;
    wake();
  }
}
