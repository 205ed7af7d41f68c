import path from 'node:path';
import { freePort } from '../../workers/launch/ports';
import {
  isTemporalReady,
  stopLeftoverTemporal,
  temporalOrder,
} from '../../workers/launch/temporalServer';
import { startGuarded, type GuardedServer } from './guardedServer';
import { temporaryFolder, testGround } from './ground';

/** The namespace of every Temporal server that tests use. */
export const testNamespace = 'carillon';

export interface RunningTemporal extends GuardedServer {
  readonly address: string;
  readonly port: number;
  readonly uiPort: number | undefined;
}

/** The server shared by the whole run: in memory, so give every workflow and queue its own name. */
export function temporalAddress(): string {
  return testGround().temporalAddress;
}

/** Starts a Temporal server of its own on a file, for tests that stop or kill it. */
export async function startTemporal(
  options: {
    dir?: string;
    port?: number;
    uiPort?: number;
    program?: string;
    inMemory?: boolean;
  } = {},
): Promise<RunningTemporal> {
  const dir = options.dir ?? temporaryFolder('temporal');
  const port = options.port ?? (await freePort());
  const place = {
    program: options.program ?? testGround().temporalProgram,
    port,
    uiPort: options.uiPort,
    namespace: testNamespace,
    dbFile: options.inMemory ? undefined : path.join(dir, 'temporal.db'),
    pidFile: path.join(dir, 'temporal.pid'),
  };
  const address = `127.0.0.1:${port}`;
  const server = await startGuarded({
    name: 'Temporal',
    order: temporalOrder(place),
    prepare: () => stopLeftoverTemporal(place),
    isReady: () => isTemporalReady(address, testNamespace),
  });
  return Object.assign(server, { address, port, uiPort: options.uiPort });
}
