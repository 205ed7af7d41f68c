import type Router from '@koa/router';
import { AppError, notFound } from '../../domain/errors';
import type { ApiMiddleware, ApiState } from '../context';

/** Answers what no route took: an unknown path, or a known one with another method. */
export function unmatched(router: Router<ApiState>): ApiMiddleware {
  return async (context) => {
    const methods = router
      .match(context.path, context.method)
      .path.flatMap(({ methods }) => methods);
    if (methods.length === 0) {
      throw notFound('route');
    }
    const allowed = [...new Set(methods)].join(', ');
    context.set('Allow', allowed);
    throw new AppError('methodNotAllowed', 'methodNotAllowed', `Here goes: ${allowed}.`);
  };
}
