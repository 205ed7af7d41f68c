import cors from '@koa/cors';
import Router from '@koa/router';
import Koa from 'koa';
import helmet from 'koa-helmet';
import { AppError } from '../../domain/errors';
import type { ApiContext, ApiMiddleware, ApiState } from '../context';
import { accessLog } from '../middleware/accessLog';
import { problem } from '../middleware/problem';
import { requestId } from '../middleware/requestId';
import { requireRoute } from '../middleware/requireRoute';
import type { CodecDeps } from './deps';
import { decode, encode } from './remoteCodec';
import { health, metrics, ready } from './probes';
import { home, logIn, logOut, showLogin } from './signIn';

/**
 * The codec server as one Koa application: people sign in on its pages, and Temporal's UI then asks
 * it in their browser for what may be shown to them.
 */
export function createCodecApp(deps: CodecDeps): Koa<ApiState> {
  const app = new Koa<ApiState>();
  app.proxy = deps.config.TRUST_PROXY > 0;
  app.maxIpsCount = deps.config.TRUST_PROXY;
  app.on('error', (error: unknown) => deps.logger.warn({ err: error }, 'response failed'));

  const router = new Router<ApiState>();
  const route = (method: 'get' | 'post', path: string, work: Handler) =>
    router.register(path, [method], async (context: ApiContext) => {
      context.state.routePattern = path;
      context.set('Cache-Control', 'no-store');
      await work(context, deps);
    });
  route('get', '/health', health);
  route('get', '/ready', ready);
  route('get', '/metrics', metrics);
  route('get', '/', home);
  route('get', '/login', showLogin);
  route('post', '/login', logIn);
  route('post', '/logout', logOut);
  route('post', '/codec/decode', decode);
  route('post', '/codec/encode', encode);

  app.use(requestId);
  app.use(accessLog(deps));
  app.use(securityHeaders(deps.config.NODE_ENV === 'production'));
  app.use(problem(deps.logger));
  app.use(forTheUi(deps));
  app.use(requireRoute(router));
  app.use(router.routes());
  return app;
}

type Handler = (context: ApiContext, deps: CodecDeps) => Promise<void>;

function securityHeaders(isProduction: boolean): ApiMiddleware {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    strictTransportSecurity: isProduction,
    crossOriginResourcePolicy: { policy: 'same-site' },
  });
}

/**
 * Lets the pages of the UI ask with the session's cookie, and no other page. A browser says from which
 * page it asks; what is no browser says nothing and has no cookie that somebody else could use.
 */
function forTheUi({ uiUrl, config }: CodecDeps): ApiMiddleware {
  const uiOrigin = originOf(uiUrl);
  const publicOrigin = originOf(config.CODEC_URL);
  const answer = cors({
    origin: ({ request }) => (request.get('Origin') === uiOrigin ? request.get('Origin') : ''),
    allowMethods: ['POST'],
    allowHeaders: ['Content-Type', 'X-Namespace'],
    credentials: true,
    maxAge: 600,
    keepHeadersOnError: true,
  });
  return async (context, next) => {
    const origin = context.get('Origin');
    const isForm = !context.path.startsWith('/codec/');
    const isOurs = ['', publicOrigin, `${context.protocol}://${context.host}`].includes(origin);
    if (!isOurs && (isForm || origin !== uiOrigin)) {
      throw new AppError('forbidden', 'originNotAllowed', 'Pages of this origin may not ask here.');
    }
    await (isForm ? next() : answer(context, next));
  };
}

function originOf(url: string | undefined): string | null {
  return url === undefined ? null : new URL(url).origin;
}
