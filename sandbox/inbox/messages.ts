import Router from '@koa/router';
import { z } from 'zod';
import { parse } from '../control';
import type { Intake } from '../intake';
import type { IndexedMessage } from './mailbox';

const optionalText = z
  .string()
  .trim()
  .optional()
  .transform((text) => text || undefined);

/** What both the page and the JSON list can be asked for. */
export const MessageQuery = z.object({
  search: optionalText,
  to: optionalText,
  subject: optionalText,
  run: optionalText,
  page: z.coerce.number().int().min(1).default(1),
  perPage: z.coerce.number().int().min(1).max(1_000).default(50),
});
export type MessageQuery = z.infer<typeof MessageQuery>;

/** A line of the list. */
export interface MessageSummary {
  id: string;
  to: string;
  toName: string | null;
  from: string;
  fromName: string | null;
  subject: string;
  receivedAt: string;
  /** The vendor's id of the request. */
  messageId: string;
  customArgs: Record<string, string>;
  outcome: string;
}

/** The delivered messages as JSON, for tests and curious people. */
export function messageRoutes(intake: Intake): Router {
  const router = new Router({ prefix: '/api/messages' });

  router.get('/', async (ctx) => {
    const query = parse(ctx, MessageQuery, ctx.query);
    if (query) {
      ctx.body = await listMessages(intake, query);
    }
  });

  router.get('/:id', async (ctx) => {
    const found = await intake.mailbox.read(String(ctx.params.id));
    if (!found) {
      ctx.status = 404;
      ctx.body = { error: 'no message has this id' };
      return;
    }
    const { indexed, content } = found;
    ctx.body = {
      id: indexed.id,
      messageId: requestIdOf(indexed.id),
      receivedAt: new Date(indexed.receivedAt).toISOString(),
      ...content,
    };
  });

  router.delete('/', async (ctx) => {
    await intake.clear();
    ctx.status = 204;
  });

  return router;
}

/** One page of messages, newest first, with what only their bodies tell. */
export async function listMessages(
  intake: Intake,
  query: MessageQuery,
): Promise<{ total: number; items: MessageSummary[] }> {
  const { total, items } = intake.mailbox.find(query, query);
  const summaries: MessageSummary[] = [];
  // One after the other: neighbours come from one request, which is then read once.
  for (const item of items) {
    summaries.push(await summarize(intake, item));
  }
  return { total, items: summaries };
}

async function summarize(intake: Intake, item: IndexedMessage): Promise<MessageSummary> {
  const content = (await intake.mailbox.readEnvelope(item.id))?.content;
  return {
    id: item.id,
    to: item.to,
    toName: content?.recipient.name ?? null,
    from: content?.from.email ?? '',
    fromName: content?.from.name ?? null,
    subject: item.subject,
    receivedAt: new Date(item.receivedAt).toISOString(),
    messageId: requestIdOf(item.id),
    customArgs: content?.customArgs ?? {},
    outcome: content?.outcome ?? '',
  };
}

function requestIdOf(id: string): string {
  return id.slice(0, id.lastIndexOf('.'));
}
