import { open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const everyMs = 20;
const page = Buffer.alloc(8_192, 1);

/** A page that was written to the disk, and how long it took to be there. */
export interface DiskWrite {
  atMs: number;
  tookMs: number;
}

/**
 * Writes a page to a file in the folder and has it reach the disk, fifty times a second, until it is
 * told to end. No commit beside it can have been quicker.
 */
export async function watchDisk(folder: string): Promise<{ end(): Promise<DiskWrite[]> }> {
  const file = await open(path.join(folder, 'disk-watch'), 'w');
  const ended = new AbortController();
  const writes: DiskWrite[] = [];
  const watching = (async () => {
    try {
      while (!ended.signal.aborted) {
        const atMs = Date.now();
        const startedAt = performance.now();
        await file.write(page, 0, page.length, 0);
        await file.datasync();
        writes.push({ atMs, tookMs: Math.round(performance.now() - startedAt) });
        await wait(everyMs);
      }
    } finally {
      await file.close();
    }
  })();
  return {
    async end() {
      ended.abort();
      await watching;
      return writes;
    },
  };
}
