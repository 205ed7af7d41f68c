import Router from '@koa/router';
import type { Context } from 'koa';
import { parse } from '../control';
import type { Intake } from '../intake';
import { ICON_SVG, INBOX_CSS, INBOX_JS } from './assets';
import { availableViews, type OpenMessage, type View } from './messageView';
import { listMessages, MessageQuery } from './messages';
import { hrefFor, inboxPage } from './page';

const PAGE_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "frame-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');
// A mail may bring its own look and pictures, as in a mail program (so its pixel counts as opened),
// but it runs nothing, posts nothing and has no origin.
const MAIL_POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline' https:",
  'img-src http: https: data:',
  'font-src https: data:',
  "form-action 'none'",
  "frame-ancestors 'self'",
  'sandbox allow-popups allow-popups-to-escape-sandbox',
].join('; ');

/** The inbox as people see it. */
export function pageRoutes(intake: Intake): Router {
  const router = new Router();

  router.get('/', (ctx) => showInbox(ctx, null));

  router.get('/messages/:id', async (ctx) => {
    const found = await intake.mailbox.read(String(ctx.params.id));
    if (!found) {
      ctx.status = 404;
    }
    await showInbox(ctx, found);
  });

  router.get('/messages/:id/html', async (ctx) => {
    const html = (await intake.mailbox.read(String(ctx.params.id)))?.content.html;
    if (html === null || html === undefined) {
      ctx.status = 404;
      return;
    }
    ctx.set('Content-Security-Policy', MAIL_POLICY);
    ctx.set('Referrer-Policy', 'no-referrer');
    ctx.type = 'html';
    // Links of the mail open beside the inbox, not inside its frame.
    ctx.body = `<base target="_blank">${html}`;
  });

  const asset = (path: string, type: string, body: string) =>
    router.get(`/assets/${path}`, (ctx) => {
      ctx.set('Cache-Control', 'no-cache');
      ctx.type = type;
      ctx.body = body;
    });
  asset('inbox.css', 'css', INBOX_CSS);
  asset('inbox.js', 'js', INBOX_JS);
  asset('icon.svg', 'svg', ICON_SVG);

  return router;

  async function showInbox(
    ctx: Context,
    found: Awaited<ReturnType<Intake['mailbox']['read']>>,
  ): Promise<void> {
    const query = parse(ctx, MessageQuery, ctx.query);
    if (!query) {
      return;
    }
    const { status } = ctx;
    const figures = intake.accounting.figures();
    ctx.set('Content-Security-Policy', PAGE_POLICY);
    ctx.type = 'html';
    ctx.body = inboxPage({
      query,
      ...(await listMessages(intake, query)),
      messages: intake.mailbox.size,
      calls: intake.calls.figures().calls,
      duplicates: figures.duplicateCount,
      pendingEvents: intake.webhooks.pending,
      faults: intake.faults.plan,
      sink: intake.mode === 'sink',
      open: found && openMessage(found, query, ctx.query.view),
    });
    ctx.status = status === 404 && ctx.path !== '/' && !found ? 404 : 200;
  }
}

function openMessage(
  { indexed, content }: NonNullable<Awaited<ReturnType<Intake['mailbox']['read']>>>,
  query: MessageQuery,
  wanted: unknown,
): OpenMessage {
  const views = availableViews(content);
  return {
    id: indexed.id,
    receivedAt: new Date(indexed.receivedAt).toISOString(),
    content,
    view: views.find((view) => view === wanted) ?? views[0] ?? 'raw',
    hrefOf: (view: View) => hrefFor(query, { id: indexed.id, view }),
  };
}
