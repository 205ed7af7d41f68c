import Router from '@koa/router';
import type { Context } from 'koa';
import { z } from 'zod';
import { readBody } from './exchange';
import { FaultPlan } from './faults';
import type { Intake } from './intake';
import type { EventPost } from './postLog';
import type { VendorEvent } from './vendor';

const MAX_CONTROL_BYTES = 1024 * 1024;

const CallQuery = z.object({
  from: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(10_000).default(1_000),
});
const PostQuery = CallQuery.extend({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  /** Whether the events themselves are wanted, not only their kinds. */
  events: z.stringbool().default(false),
});
const ModeChange = z.strictObject({ mode: z.enum(['inbox', 'sink']) });

/** What tests steer and count with: faults, mode, calls, figures, events. */
export function controlRoutes(intake: Intake): Router {
  const { faults, calls, accounting, webhooks } = intake;
  const router = new Router({ prefix: '/api' });

  router.get('/stats', (ctx) => {
    ctx.body = {
      mode: intake.mode,
      ...calls.figures(),
      ...accounting.figures(),
      events: webhooks.figures(),
    };
  });

  router.get('/calls', (ctx) => {
    const query = parse(ctx, CallQuery, ctx.query);
    if (query) {
      ctx.body = { total: calls.figures().calls, items: calls.list(query.from, query.limit) };
    }
  });

  router.get('/mode', (ctx) => {
    ctx.body = { mode: intake.mode };
  });
  router.put('/mode', async (ctx) => {
    const change = await parseBody(ctx, ModeChange);
    if (change) {
      intake.mode = change.mode;
      ctx.body = change;
    }
  });

  router.get('/faults', (ctx) => {
    ctx.body = faults.plan;
  });
  router.put('/faults', async (ctx) => {
    const plan = await parseBody(ctx, FaultPlan);
    if (plan) {
      faults.replace(plan);
      webhooks.followFaults();
      ctx.body = faults.plan;
    }
  });
  router.delete('/faults', (ctx) => {
    faults.clear();
    webhooks.followFaults();
    ctx.body = faults.plan;
  });

  router.get('/events', async (ctx) => {
    const query = parse(ctx, PostQuery, ctx.query);
    if (query) {
      const posts = webhooks.list(query.from, query.limit);
      const items = query.events ? await Promise.all(posts.map(withEvents)) : posts;
      ctx.body = { ...webhooks.figures(), items };
    }
  });
  router.post('/events/flush', async (ctx) => {
    ctx.body = await webhooks.flush();
  });
  router.post('/events/replay', async (ctx) => {
    const requests = intake.mailbox.allRequests();
    ctx.body = await webhooks.replay(requests);
  });

  return router;

  // Events are made again from the journal; a memory of all that was posted would be large.
  async function withEvents(post: EventPost) {
    const events: VendorEvent[] = [];
    for (const { messageId, stage } of post.units) {
      const request = intake.mailbox.requestOfId(messageId);
      if (request) {
        events.push(...(await intake.mailbox.open(request)).stage(stage).events);
      }
    }
    return { ...post, events };
  }
}

/** Checks a query; answers 400 and gives null when it is wrong. */
export function parse<T>(ctx: Context, schema: z.ZodType<T>, input: unknown): T | null {
  const parsed = schema.safeParse(input);
  if (parsed.success) {
    return parsed.data;
  }
  ctx.status = 400;
  ctx.body = {
    error: parsed.error.issues
      .map(({ path, message }) => `${path.join('.')}: ${message}`)
      .join('; '),
  };
  return null;
}

/** Reads and checks a JSON body; answers 400 and gives null when it is wrong. */
export async function parseBody<T>(ctx: Context, schema: z.ZodType<T>): Promise<T | null> {
  const body = await readBody(ctx.req, MAX_CONTROL_BYTES);
  const text = body.kind === 'body' ? body.bytes.toString('utf8') : '';
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    ctx.status = 400;
    ctx.body = { error: 'the body must be JSON of at most 1 MB' };
    return null;
  }
  return parse(ctx, schema, input);
}
