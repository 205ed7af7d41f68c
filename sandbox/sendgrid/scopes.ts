import Router from '@koa/router';
import { refuseByKey } from './mailSend';

// What a key of full access may do, as far as anything here asks.
const SCOPES = ['mail.send', 'mail.batch.create', 'mail.batch.read', 'user.scheduled_sends.read'];

/** GET /v3/scopes: what the key that asks may do. */
export function scopesRoutes(apiKeys: readonly string[] | null): Router {
  const router = new Router();
  router.get('/v3/scopes', (ctx) => {
    const refused = refuseByKey(ctx.get('Authorization'), apiKeys);
    ctx.status = refused?.status ?? 200;
    ctx.body = refused?.body ?? { scopes: SCOPES };
  });
  return router;
}
