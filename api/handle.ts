import { addressKey } from '../domain/identity/addressKey';
import { callerNetwork } from '../lib/callerNetwork';
import type { ApiContext, ApiMiddleware } from './context';
import type { ApiDeps } from './deps';
import { once } from './idempotency';
import { countCaller } from './middleware/rateLimit';
import type { RateLimits } from './rateLimits';
import { render, send } from './replies';
import type { Call, Route } from './route';

/** Reads and checks the request, runs the handler (once, for an Idempotency-Key) and answers. */
export function handle(route: Route, deps: ApiDeps, limits: RateLimits): ApiMiddleware {
  const isChecked = deps.config.NODE_ENV === 'test';
  return async (context) => {
    const call = await readOrDiscard(route, context, deps);
    const run = async () =>
      render(route, await call.run(), { fields: fieldsOf(context), isChecked });
    try {
      if (call.limitedAddress !== undefined && route.limit !== 'none') {
        // With the network: a stranger who uses an address up elsewhere keeps nobody out.
        const digest = deps.addressHash(addressKey(call.limitedAddress));
        const caller = `address:${digest}:${callerNetwork(context.ip)}`;
        await countCaller(context, limits, route.limit, caller);
      }
      send(context, route.idempotent ? await once(context, deps, route, call, run) : await run());
    } finally {
      await call.release();
    }
  };
}

// A body that was refused half-way has to flow on, or the caller never gets to read why.
async function readOrDiscard(route: Route, context: ApiContext, deps: ApiDeps): Promise<Call> {
  try {
    return await route.read(context, deps);
  } catch (error) {
    context.req.resume();
    throw error;
  }
}

// Which of them exist was checked with the query; routes without the parameter refuse it there.
function fieldsOf(context: ApiContext): string[] | undefined {
  const { fields } = context.query;
  return typeof fields === 'string' ? fields.split(',').map((name) => name.trim()) : undefined;
}
