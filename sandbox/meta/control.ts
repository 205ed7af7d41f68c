import { randomInt } from 'node:crypto';
import Router from '@koa/router';
import type { Context } from 'koa';
import { z } from 'zod';
import { parseBody } from '../control';
import type { MetaSandboxAccount } from './accounts';
import { newId, type MetaParts } from './sendMessage';
import { Template } from './templates';
import { postWebhook, verifyWebhook } from './webhook';

const MAX_CHALLENGE = 2 ** 32;

const number = z.string().regex(/^\+?[1-9]\d{6,14}$/);
/** Default: the first number. */
const phoneNumberId = z.string().optional();

const Inbound = z.strictObject({
  phoneNumberId,
  /** Default: the number's webhook. */
  url: z.url().optional(),
  /** The customer. */
  from: number,
  body: z.string().default(''),
  /** As if they had chosen a button of a template; `body` is its text. */
  buttonPayload: z.string().optional(),
  mediaType: z.enum(['image', 'video', 'audio', 'document']).optional(),
});
const Preference = z.strictObject({
  phoneNumberId,
  url: z.url().optional(),
  from: number,
  value: z.enum(['stop', 'resume']),
});
const Webhook = z.strictObject({ phoneNumberId, url: z.url().nullable() });
const TemplateList = z.array(Template).max(1_000);

/** What tests steer the vendor with: its webhook, its templates, customers who write. */
export function metaRoutes({ intake, numbers, templates, windows }: MetaParts): Router {
  const router = new Router({ prefix: '/api/meta' });

  router.put('/webhook', async (ctx) => {
    const wanted = await parseBody(ctx, Webhook);
    const account = wanted && accountOf(ctx, wanted.phoneNumberId);
    if (!wanted || !account) {
      return;
    }
    const { url } = wanted;
    if (url !== null) {
      const challenge = String(randomInt(MAX_CHALLENGE));
      const asked = { url, challenge, signal: intake.closing };
      if (!(await verifyWebhook(account, asked).catch(() => false))) {
        ctx.status = 502;
        ctx.body = { error: 'the address did not answer the challenge' };
        return;
      }
    }
    numbers.setWebhook(account.phoneNumberId, url);
    ctx.body = { phoneNumberId: account.phoneNumberId, url };
  });

  router.get('/templates', (ctx) => {
    ctx.body = templates.list();
  });
  router.put('/templates', async (ctx) => {
    const list = await parseBody(ctx, TemplateList);
    if (list) {
      templates.replace(list);
      ctx.body = list;
    }
  });

  router.post('/inbound', async (ctx) => {
    const message = await parseBody(ctx, Inbound);
    const account = message && accountOf(ctx, message.phoneNumberId);
    if (!message || !account) {
      return;
    }
    const id = newId();
    const now = Date.now();
    windows.open(account.phoneNumberId, message.from, now);
    await tell(ctx, account, { id, url: message.url, value: valueOf(id, now, message) });
  });

  router.post('/preference', async (ctx) => {
    const preference = await parseBody(ctx, Preference);
    const account = preference && accountOf(ctx, preference.phoneNumberId);
    if (!preference || !account) {
      return;
    }
    const told = {
      wa_id: digits(preference.from),
      detail: `User requested to ${preference.value} marketing messages`,
      category: 'marketing_messages',
      value: preference.value,
      timestamp: Math.floor(Date.now() / 1_000),
    };
    const value = { contacts: contactsOf(preference.from), user_preferences: [told] };
    await tell(ctx, account, { url: preference.url, value, field: 'user_preferences' });
  });

  return router;

  function accountOf(ctx: Context, id: string | undefined): MetaSandboxAccount | undefined {
    const account = numbers.find(id);
    if (!account) {
      ctx.status = 404;
      ctx.body = { error: 'no number has this id' };
    }
    return account;
  }

  async function tell(
    ctx: Context,
    account: MetaSandboxAccount,
    told: {
      id?: string;
      url: string | undefined;
      value: Record<string, unknown>;
      field?: string;
    },
  ): Promise<void> {
    const { id, value, field } = told;
    const url = told.url ?? numbers.webhookOf(account.phoneNumberId);
    if (url === null) {
      // The customer has written all the same.
      ctx.body = { id, status: null };
      return;
    }
    const post = { url, value, signal: intake.closing, ...(field === undefined ? {} : { field }) };
    try {
      ctx.body = { id, ...(await postWebhook(account, post)) };
    } catch (error) {
      ctx.status = 502;
      ctx.body = { id, error: error instanceof Error ? error.message : String(error) };
    }
  }
}

function valueOf(
  id: string,
  now: number,
  { from, body, buttonPayload, mediaType }: z.infer<typeof Inbound>,
): Record<string, unknown> {
  const message = {
    from: digits(from),
    id,
    timestamp: String(Math.floor(now / 1_000)),
    ...(mediaType !== undefined
      ? { type: mediaType, [mediaType]: mediaPart(mediaType, body) }
      : buttonPayload !== undefined
        ? { type: 'button', button: { text: body, payload: buttonPayload } }
        : { type: 'text', text: { body } }),
  };
  return { contacts: contactsOf(from), messages: [message] };
}

function mediaPart(mediaType: string, caption: string): Record<string, unknown> {
  return {
    id: String(randomInt(10_000, MAX_CHALLENGE)),
    mime_type: `${mediaType}/sandbox`,
    ...(caption === '' ? {} : { caption }),
  };
}

function contactsOf(from: string) {
  return [{ profile: { name: 'Sandbox' }, wa_id: digits(from) }];
}

function digits(text: string): string {
  return text.replace(/^\+/, '');
}
