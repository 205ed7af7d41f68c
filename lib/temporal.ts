import { Client, Connection } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import type { Config } from './config';

/** A client of the Temporal server that connects when it is first used. */
export interface Temporal {
  client: Client;
  connection: Connection;
  /** Resolves when the server answers within the time, rejects otherwise. */
  check(timeoutMs: number): Promise<void>;
}

/** Makes a client; the server may be down, then or later. Its payloads go through the converter. */
export function connectTemporal(
  config: Pick<Config, 'TEMPORAL_NAMESPACE' | 'TEMPORAL_TLS' | 'TEMPORAL_API_KEY'> & {
    TEMPORAL_ADDRESS: string;
  },
  dataConverter: DataConverter,
): Temporal {
  const connection = Connection.lazy({
    address: config.TEMPORAL_ADDRESS,
    // No retries here: a caller is told at once, the reconciler and Temporal itself make good what was
    // missed, and no retry is left behind to fail on a connection that was closed.
    interceptors: [],
    ...(config.TEMPORAL_TLS ? { tls: true } : {}),
    ...(config.TEMPORAL_API_KEY === undefined ? {} : { apiKey: config.TEMPORAL_API_KEY }),
  });
  const client = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE, dataConverter });
  return {
    client,
    connection,
    async check(timeoutMs) {
      await connection.withDeadline(Date.now() + timeoutMs, () =>
        connection.workflowService.describeNamespace({ namespace: config.TEMPORAL_NAMESPACE }),
      );
    },
  };
}
