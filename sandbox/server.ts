import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import Koa from 'koa';
import type { Logger } from '../lib/logger';
import { controlRoutes } from './control';
import { answer } from './exchange';
import { messageRoutes } from './inbox/messages';
import { pageRoutes } from './inbox/pages';
import type { Intake } from './intake';
import * as errors from './sendgrid/errors';
import type { MailSend } from './sendgrid/mailSend';

// Longer than any client keeps an idle connection: a connection that the server closes while a
// client writes to it would be a fault that nobody asked for.
const KEEP_ALIVE_MS = 120_000;

/**
 * One HTTP server for the vendors' APIs, the control API and the inbox. The sending endpoints are
 * answered ahead of the framework, because benchmarks measure whoever calls them.
 */
export function createSandboxServer(parts: {
  intake: Intake;
  mailSend: MailSend;
  logger: Logger;
}): Server {
  const { intake, mailSend, logger } = parts;
  const rest = createApp(intake, logger).callback();
  const server = createServer((request, response) => {
    if (pathOf(request) === '/v3/mail/send') {
      void sendMail(request, response);
    } else {
      void rest(request, response);
    }
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;

  async function sendMail(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') {
      answer(response, 405, { errors: [errors.METHOD_NOT_ALLOWED] }, { allow: 'POST' });
      return;
    }
    try {
      await mailSend(request, response);
    } catch (error) {
      logger.error({ err: error }, 'a mail request failed');
      if (!response.headersSent) {
        answer(response, 500, { errors: [errors.INTERNAL_ERROR] });
      }
    }
  }
}

function createApp(intake: Intake, logger: Logger): Koa {
  const app = new Koa();
  app.on('error', (error: unknown) => logger.error({ err: error }, 'a request failed'));
  app.use(async (ctx, next) => {
    ctx.set('X-Content-Type-Options', 'nosniff');
    ctx.set('Referrer-Policy', 'no-referrer');
    await next();
    if (ctx.path.startsWith('/v3/') && ctx.status === 404 && !ctx.body) {
      ctx.status = 404;
      ctx.body = { errors: [errors.NOT_FOUND] };
    }
  });
  app.use(async (ctx, next) => {
    if (ctx.path === '/health' || ctx.path === '/ready') {
      ctx.body = { status: 'ok', mode: intake.mode };
      return;
    }
    await next();
  });
  for (const router of [messageRoutes(intake), controlRoutes(intake), pageRoutes(intake)]) {
    app.use(router.routes());
    app.use(router.allowedMethods());
  }
  return app;
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}
