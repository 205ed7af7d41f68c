import { createServer, type Server } from 'node:http';
import type { App } from './app';

/** How long and how much a caller may take before they are cut off. */
export interface ConnectionLimits {
  /** Bytes of the request line and all headers together; more is answered 431. */
  readonly maxHeaderBytes: number;
  /** Until the last header has come; then 408. */
  readonly headersTimeoutMs: number;
  /** Until the last byte of the body has come; then 408. JSON has less time, see bodies.ts. */
  readonly requestTimeoutMs: number;
  /** How long a connection is kept for the next request. */
  readonly keepAliveTimeoutMs: number;
  /** How often late connections are looked for. */
  readonly checkEveryMs: number;
  readonly maxConnections: number;
  readonly maxRequestsPerConnection: number;
}

export const connectionLimits = {
  maxHeaderBytes: 16 * 1024,
  headersTimeoutMs: 15_000,
  // The largest file there is, 50 MiB, over a line of 1.4 Mbit/s.
  requestTimeoutMs: 300_000,
  // A proxy usually lets go after 60 s. Were we first, a request of its could meet a closed socket.
  keepAliveTimeoutMs: 65_000,
  checkEveryMs: 5_000,
  maxRequestsPerConnection: 10_000,
} as const satisfies Omit<ConnectionLimits, 'maxConnections'>;

/**
 * An HTTP server that slow, endless and all too many callers cannot keep busy: what is late is cut
 * off, and connections beyond the most are closed at once. Node answers by itself what never becomes
 * a request of the application: 400, 408 and 431 without a body.
 */
export function createHttpServer(app: App, limits: ConnectionLimits): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.checkEveryMs,
      // RFC 9112 §3.2: a request without Host, or with two, is malformed.
      requireHostHeader: true,
      insecureHTTPParser: false,
    },
    // It never rejects: Koa answers what fails.
    (request, response) => void handle(request, response),
  );
  const handle = app.callback();
  server.maxConnections = limits.maxConnections;
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection;
  return server;
}
