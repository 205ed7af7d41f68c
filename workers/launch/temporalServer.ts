import { Connection } from '@temporalio/client';
import type { GuardOrder } from './guard';
import { stopLeftover } from './guarded';
import { asServerUser } from './serverUser';
import { customSearchAttributes, developmentSettings } from './temporalSettings';

const stopTimeoutMs = 5000;

/** One development server of our own: loopback only, on a file or (without one) in memory. */
export interface TemporalPlace {
  program: string;
  port: number;
  /** Without one there is no UI. */
  uiPort?: number;
  /** Where the UI has payloads decrypted. */
  codecEndpoint?: string;
  namespace: string;
  dbFile?: string;
  pidFile: string;
}

/** What a guard needs to run the server. */
export function temporalOrder(place: TemporalPlace): GuardOrder {
  return {
    ...asServerUser(place.program, temporalArguments(place), {
      user: undefined,
      reaches: [],
      deathSignal: 'TERM',
    }),
    stopSignal: 'SIGTERM',
    stopTimeoutMs,
    pidFile: place.pidFile,
  };
}

/** The command line of the development server, with the settings that make its steps quick. */
export function temporalArguments(place: TemporalPlace): string[] {
  return [
    'server',
    'start-dev',
    '--ip',
    '127.0.0.1',
    '--port',
    String(place.port),
    ...(place.uiPort === undefined ? ['--headless'] : ['--ui-port', String(place.uiPort)]),
    ...(place.codecEndpoint === undefined ? [] : ['--ui-codec-endpoint', place.codecEndpoint]),
    '--namespace',
    place.namespace,
    '--log-format',
    'json',
    '--log-level',
    'warn',
    ...Object.entries(developmentSettings).flatMap(([key, value]) => [
      '--dynamic-config-value',
      `${key}=${value}`,
    ]),
    ...customSearchAttributes.flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
    ...(place.dbFile === undefined
      ? []
      : [
          '--db-filename',
          place.dbFile,
          // Several times faster than SQLite's defaults; a power cut may cost the last moments.
          '--sqlite-pragma',
          'journal_mode=wal',
          '--sqlite-pragma',
          'synchronous=1',
        ]),
  ];
}

/** Stops a server that a killed run left on the same place. */
export async function stopLeftoverTemporal(place: TemporalPlace): Promise<void> {
  await stopLeftover({
    pidFile: place.pidFile,
    mark: place.dbFile ?? `--port ${place.port} `,
    signal: 'SIGTERM',
    patienceMs: stopTimeoutMs,
  });
}

/** Whether the server answers and knows the namespace. */
export async function isTemporalReady(address: string, namespace: string): Promise<boolean> {
  let connection: Connection | undefined;
  try {
    connection = await Connection.connect({ address, connectTimeout: 2000 });
    const open = connection;
    await open.withDeadline(Date.now() + 2000, () =>
      open.workflowService.describeNamespace({ namespace }),
    );
    return true;
  } catch {
    return false;
  } finally {
    await connection?.close();
  }
}
