import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from '../lib/logger';
import { controlRoutes } from './control';
import { answer } from './exchange';
import { messageRoutes } from './inbox/messages';
import { pageRoutes } from './inbox/pages';
import type { Intake } from './intake';
import { createMetaApi } from './meta/api';
import { metaRoutes } from './meta/control';
import { refusal as metaRefusal } from './meta/errors';
import { isMetaPath } from './meta/paths';
import type { MetaParts } from './meta/sendMessage';
import { createOpenRouterApi, OPENROUTER_PATH, type OpenRouterParts } from './openrouter/api';
import { openRouterRoutes } from './openrouter/control';
import { refusal as openRouterRefusal } from './openrouter/errors';
import { activityRoutes } from './sendgrid/activity';
import * as errors from './sendgrid/errors';
import { scopesRoutes } from './sendgrid/scopes';
import type { SendingEndpoint } from './sendingEndpoint';
import type { Accounts } from './twilio/accounts';
import { API_PATH as TWILIO_PATH, createTwilioApi } from './twilio/api';
import { refusal as twilioRefusal } from './twilio/errors';
import { inboundRoutes } from './twilio/inbound';

// Longer than any client keeps an idle connection: a connection that the server closes while a
// client writes to it would be a fault that nobody asked for.
const KEEP_ALIVE_MS = 120_000;

const openRouterFailure = openRouterRefusal(500, 'Internal Server Error').body;

/**
 * One HTTP server for the vendors' APIs, the control API and the inbox. The sending endpoints are
 * answered ahead of the framework, because benchmarks measure whoever calls them.
 */
export function createSandboxServer(parts: {
  intake: Intake;
  mailSend: SendingEndpoint;
  sendGridKeys: readonly string[] | null;
  twilioAccounts: Accounts;
  meta: MetaParts;
  openRouter: OpenRouterParts;
  logger: Logger;
}): Server {
  const { intake, mailSend, sendGridKeys, twilioAccounts, meta, openRouter, logger } = parts;
  const vendors = [
    scopesRoutes(sendGridKeys),
    activityRoutes(intake, sendGridKeys),
    inboundRoutes(intake, twilioAccounts),
    metaRoutes(meta),
    openRouterRoutes(openRouter),
  ];
  const rest = createApp(intake, vendors, logger).callback();
  const twilioApi = createTwilioApi(intake, twilioAccounts);
  const metaApi = createMetaApi(meta);
  const openRouterApi = createOpenRouterApi(openRouter);
  const server = createServer((request, response) => {
    const path = pathOf(request);
    if (path === '/v3/mail/send') {
      void sendMail(request, response);
    } else if (path.startsWith(TWILIO_PATH)) {
      void answered(twilioApi, twilioRefusal(20500).body, request, response);
    } else if (isMetaPath(path)) {
      void answered(metaApi, metaRefusal(131000).body, request, response);
    } else if (path.startsWith(`${OPENROUTER_PATH}/`)) {
      void answered(openRouterApi, openRouterFailure, request, response);
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
    await answered(mailSend, { errors: [errors.INTERNAL_ERROR] }, request, response);
  }

  async function answered(
    endpoint: SendingEndpoint,
    failure: unknown,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    try {
      await endpoint(request, response);
    } catch (error) {
      logger.error({ err: error }, 'a request to send failed');
      if (!response.headersSent) {
        answer(response, 500, failure);
      }
    }
  }
}

function createApp(intake: Intake, vendors: readonly Router[], logger: Logger): Koa {
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
  for (const router of [
    messageRoutes(intake),
    controlRoutes(intake),
    ...vendors,
    pageRoutes(intake),
  ]) {
    app.use(router.routes());
    app.use(router.allowedMethods());
  }
  return app;
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}
