import Router from '@koa/router';
import { z } from 'zod';
import { parse, parseBody } from '../control';
import { creditOf, limitLeftOf, usedOf, type AccountState } from './accounts';
import type { OpenRouterParts } from './api';
import { FaultRules } from './faults';

const micros = z.number().int().min(-1e12).max(1e12);

const CallQuery = z.object({
  from: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(0).max(100_000).default(10_000),
});
const KeyChange = z.strictObject({
  limitMicros: micros.nullable().optional(),
  limitReset: z.enum(['daily', 'weekly', 'monthly']).nullable().optional(),
  expiresAt: z.iso.datetime().nullable().optional(),
  /** A revoked key opens nothing; it can be given back. */
  isRevoked: z.boolean().optional(),
});
const NewKey = KeyChange.omit({ isRevoked: true }).extend({
  secret: z.string().min(8).max(200),
  label: z.string().min(1).max(100),
});
const AccountChange = z.strictObject({
  /** What is left from now on. */
  creditMicros: micros,
});

/** What tests steer the vendor of models with: faults, credit, keys, and what was called. */
export function openRouterRoutes(parts: OpenRouterParts): Router {
  const { accounts, faults, calls, generations } = parts;
  const router = new Router({ prefix: '/api/openrouter' });

  router.get('/faults', (ctx) => {
    ctx.body = faults.rules;
  });
  router.put('/faults', async (ctx) => {
    const rules = await parseBody(ctx, FaultRules);
    if (rules) {
      faults.replace(rules);
      ctx.body = faults.rules;
    }
  });
  router.delete('/faults', (ctx) => {
    faults.replace([]);
    ctx.body = faults.rules;
  });

  router.get('/calls', (ctx) => {
    const query = parse(ctx, CallQuery, ctx.query);
    if (query) {
      ctx.body = calls.page(query.from, query.limit);
    }
  });
  router.delete('/calls', (ctx) => {
    calls.clear();
    ctx.body = calls.page(0, 0);
  });

  router.get('/accounts', (ctx) => {
    ctx.body = [...accounts.accounts.values()].map(accountView);
  });
  router.put('/accounts/:id', async (ctx) => {
    const account = accounts.accounts.get(ctx.params.id ?? '');
    if (!account) {
      ctx.status = 404;
      ctx.body = { error: 'no account has this id' };
      return;
    }
    const change = await parseBody(ctx, AccountChange);
    if (change) {
      account.boughtMicros = account.usedMicros + change.creditMicros;
      ctx.body = accountView(account);
    }
  });
  router.post('/accounts/:id/keys', async (ctx) => {
    const account = accounts.accounts.get(ctx.params.id ?? '');
    if (!account) {
      ctx.status = 404;
      ctx.body = { error: 'no account has this id' };
      return;
    }
    const key = await parseBody(ctx, NewKey);
    if (!key) {
      return;
    }
    if (accounts.findKey(key.label) || accounts.bearerOf(key.secret, 0)) {
      ctx.status = 409;
      ctx.body = { error: 'a key has this label or secret already' };
      return;
    }
    accounts.addKey(account, key);
    ctx.body = accountView(account);
  });
  router.put('/keys/:name', async (ctx) => {
    const key = accounts.findKey(ctx.params.name ?? '');
    if (!key) {
      ctx.status = 404;
      ctx.body = { error: 'no key has this label or last four characters' };
      return;
    }
    const change = await parseBody(ctx, KeyChange);
    if (change) {
      Object.assign(key, change);
      ctx.body = accountView(key.account);
    }
  });

  /** Accounts, keys, faults and calls as they were at the start. */
  router.post('/reset', (ctx) => {
    accounts.reset();
    faults.reset();
    calls.clear();
    generations.clear();
    ctx.body = [...accounts.accounts.values()].map(accountView);
  });

  return router;
}

// Never a secret.
function accountView(account: AccountState) {
  const now = Date.now();
  return {
    id: account.id,
    creditMicros: creditOf(account),
    usedMicros: account.usedMicros,
    keys: account.keys.map((key) => ({
      label: key.label,
      last4: key.last4,
      limitMicros: key.limitMicros,
      limitLeftMicros: limitLeftOf(key, now),
      limitReset: key.limitReset,
      expiresAt: key.expiresAt,
      isRevoked: key.isRevoked,
      usedMicros: usedOf(key, now).total,
    })),
  };
}
