import { newId } from '../../lib/ids';
import type { ApiMiddleware } from '../context';

const usable = /^[\w.:-]{1,128}$/;

/** Gives the request an id, the caller's own if it is harmless, and says it in the answer. */
export const requestId: ApiMiddleware = async (context, next) => {
  const given = context.get('X-Request-Id');
  context.state.requestId = usable.test(given) ? given : newId();
  context.set('X-Request-Id', context.state.requestId);
  await next();
};
