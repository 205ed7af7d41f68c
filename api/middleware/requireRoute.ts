import type Router from '@koa/router';
import { AppError, notFound } from '../../domain/errors';
import type { ApiMiddleware, ApiState } from '../context';

/**
 * Answers what is no route: an unknown path, or a known one with another method. Of the paths that
 * fit, the one with the fewest parameters is meant: /customers/upload is no customer's.
 */
export function requireRoute(router: Router<ApiState>): ApiMiddleware {
  return async (context, next) => {
    const fitting = router.match(context.path, context.method).path;
    const fewest = Math.min(...fitting.map(({ paramNames }) => paramNames.length));
    const methods = fitting
      .filter(({ paramNames }) => paramNames.length === fewest)
      .flatMap((layer) => layer.methods);
    if (methods.length === 0) {
      throw notFound('route');
    }
    if (!methods.includes(context.method)) {
      const allowed = [...new Set(methods)].join(', ');
      context.set('Allow', allowed);
      throw new AppError('methodNotAllowed', 'methodNotAllowed', `Here goes: ${allowed}.`);
    }
    await next();
  };
}
