import { rmSync } from 'node:fs';
import type { GuardedServer } from './guardedServer';

interface ToTearDown {
  folder: string;
  servers: GuardedServer[];
}

// The global setup and teardown share the main process, but not Jest's module registry.
declare global {
  var carillonToTearDown: ToTearDown | undefined;
}

/** Remembers what the teardown has to stop and remove. */
export function keepForTeardown(what: ToTearDown): void {
  globalThis.carillonToTearDown = what;
}

/** Stops what the global setup started, and removes the run's folder. */
// oxlint-disable-next-line import/no-default-export -- Jest asks for a default export.
export default async function globalTeardown(): Promise<void> {
  const { servers, folder } = globalThis.carillonToTearDown ?? { servers: [] };
  await Promise.all(servers.map((server) => server.stop()));
  if (folder !== undefined) {
    // A server that a test killed may still be writing its last file.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}
