import { Client, Connection, type Metadata } from '@temporalio/client';
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
  const connection = QuietConnection.lazy({
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

/**
 * Deadlines are kept in async-local storage. Node 20 calls JavaScript for every promise of a process
 * that uses one, so it is switched off again when the last deadline is over.
 */
class QuietConnection extends Connection {
  private scopes = 0;

  override withDeadline<R>(deadline: number | Date, work: () => Promise<R>): Promise<R> {
    return this.whileUsed(() => super.withDeadline(deadline, work));
  }

  override withAbortSignal<R>(signal: AbortSignal, work: () => Promise<R>): Promise<R> {
    return this.whileUsed(() => super.withAbortSignal(signal, work));
  }

  override withMetadata<R>(metadata: Metadata, work: () => Promise<R>): Promise<R> {
    return this.whileUsed(() => super.withMetadata(metadata, work));
  }

  override withApiKey<R>(apiKey: string, work: () => Promise<R>): Promise<R> {
    return this.whileUsed(() => super.withApiKey(apiKey, work));
  }

  private async whileUsed<R>(work: () => Promise<R>): Promise<R> {
    this.scopes += 1;
    try {
      return await work();
    } finally {
      this.scopes -= 1;
      if (this.scopes === 0) {
        this.callContextStorage.disable();
      }
    }
  }
}
