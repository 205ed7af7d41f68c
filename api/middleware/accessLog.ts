import { Counter, Histogram, type Registry } from '../../lib/metrics';
import type { Logger } from '../../lib/logger';
import type { ApiMiddleware } from '../context';

const probes = new Set(['/health', '/ready', '/metrics']);

/**
 * One line and one observation a request. Both name the route's pattern, never the path or the
 * query: these may hold addresses, tokens and whatever a caller searched for.
 */
export function accessLog(deps: { logger: Logger; metrics: Registry }): ApiMiddleware {
  const seconds = new Histogram({
    name: 'carillon_http_request_duration_seconds',
    help: 'Time from the request to its answer, by route pattern',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [deps.metrics],
  });
  const aborted = new Counter({
    name: 'carillon_http_requests_aborted_total',
    help: 'Requests whose caller left before the answer was complete',
    labelNames: ['route'],
    registers: [deps.metrics],
  });
  return async (context, next) => {
    const startedAt = process.hrtime.bigint();
    context.res.once('close', () => {
      const durationMs = Number(process.hrtime.bigint() - startedAt) / 1e6;
      const route = context.state.routePattern ?? 'unmatched';
      const { statusCode } = context.res;
      seconds.observe({ method: context.method, route, status: statusCode }, durationMs / 1000);
      if (!context.res.writableFinished) {
        aborted.inc({ route });
      }
      const line = {
        requestId: context.state.requestId,
        method: context.method,
        route,
        status: statusCode,
        durationMs: Math.round(durationMs * 10) / 10,
        tenantId: context.state.principal?.tenantId,
      };
      // Probes ask every few seconds; their answers are in the metrics.
      const level = probes.has(route) && statusCode < 500 ? 'debug' : 'info';
      deps.logger[level](line, 'request');
    });
    await next();
  };
}
