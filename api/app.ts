import cors from '@koa/cors';
import Koa from 'koa';
import compress from 'koa-compress';
import helmet from 'koa-helmet';
import { constants } from 'node:zlib';
import type { ApiMiddleware, ApiState } from './context';
import type { ApiDeps } from './deps';
import { accessLog } from './middleware/accessLog';
import { problem } from './middleware/problem';
import { requestId } from './middleware/requestId';
import { requireRoute } from './middleware/requireRoute';
import { docs } from './openapi/docs';
import { openApiDocument } from './openapi/document';
import { permissionsPage } from './openapi/permissionsPage';
import { createRouter, routes } from './router';

export type App = Koa<ApiState>;

/** The whole HTTP interface as one Koa application; nothing in it listens yet. */
export function createApp(deps: ApiDeps): App {
  const app = new Koa<ApiState>();
  // Each proxy of ours adds the address it was called from at the end of X-Forwarded-For; what stands
  // before those is whatever the caller wrote there.
  app.proxy = deps.config.TRUST_PROXY > 0;
  app.maxIpsCount = deps.config.TRUST_PROXY;
  app.on('error', (error: unknown) => deps.logger.warn({ err: error }, 'response failed'));

  const router = createRouter(routes, deps);
  app.use(requestId);
  app.use((context, next) => {
    context.state.bodyTimeoutMs = deps.config.API_BODY_TIMEOUT_MS;
    return next();
  });
  app.use(accessLog(deps));
  app.use(securityHeaders(deps.config.NODE_ENV === 'production'));
  app.use(corsFor(deps.config.CORS_ORIGINS));
  app.use(compression());
  app.use(problem(deps.logger));
  app.use(
    docs(
      () => openApiDocument(routes),
      () => permissionsPage(routes),
    ),
  );
  app.use(requireRoute(router));
  app.use(router.routes());
  return app;
}

// JSON needs no rights in a browser at all; pages set a policy of their own.
function securityHeaders(isProduction: boolean): ApiMiddleware {
  const helmeted: ApiMiddleware = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    strictTransportSecurity: isProduction,
    // Other pages embed nothing of ours but the pixel, which says so itself. Pages of the list of
    // origins ask by CORS, which this does not touch.
    crossOriginResourcePolicy: { policy: 'same-origin' },
    crossOriginOpenerPolicy: { policy: 'same-origin' },
    referrerPolicy: { policy: 'no-referrer' },
  });
  return (context, next) => {
    context.set('Permissions-Policy', noBrowserFeatures);
    // An answer may hold a token or a person; what may be kept says so itself.
    context.set('Cache-Control', 'no-store');
    return helmeted(context, next);
  };
}

const noBrowserFeatures = [
  'accelerometer',
  'camera',
  'display-capture',
  'geolocation',
  'gyroscope',
  'magnetometer',
  'microphone',
  'payment',
  'usb',
]
  .map((feature) => `${feature}=()`)
  .join(', ');

function corsFor(origins: string): ApiMiddleware {
  const allowed = new Set(
    origins
      .split(',')
      .map((origin) => origin.trim())
      .filter((origin) => origin !== ''),
  );
  return cors({
    origin: ({ request }) => (allowed.has(request.get('Origin')) ? request.get('Origin') : ''),
    allowMethods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowHeaders: [
      'Authorization',
      'Content-Type',
      'Idempotency-Key',
      'If-Match',
      'If-None-Match',
      'X-Request-Id',
    ],
    exposeHeaders: [
      'ETag',
      'Idempotency-Replayed',
      'Location',
      'RateLimit-Limit',
      'RateLimit-Remaining',
      'RateLimit-Reset',
      'Retry-After',
      'X-Carillon-Account',
      'X-Carillon-Attempts',
      'X-Carillon-Model',
      'X-Request-Id',
    ],
    maxAge: 600,
    keepHeadersOnError: true,
  });
}

function compression(): ApiMiddleware {
  return compress({
    threshold: 1024,
    gzip: {},
    deflate: false,
    // The default of 11 is for files that are packed once.
    br: { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } },
  });
}
