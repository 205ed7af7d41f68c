import { randomBytes } from 'node:crypto';
import Router from '@koa/router';
import { z } from 'zod';
import { parseBody } from '../control';
import type { Intake } from '../intake';
import type { Accounts } from './accounts';
import { postForm } from './callbacks';
import { isWhatsApp, numberOf } from './form';
import { countSegments } from './segments';

const Inbound = z.strictObject({
  /** Default: the first account. */
  accountSid: z.string().optional(),
  /** The webhook of the number that is written to. */
  url: z.url(),
  /** The customer's address and ours: E.164, with `whatsapp:` before it on that channel. */
  from: z.string(),
  to: z.string(),
  body: z.string(),
  /** As with Advanced Opt-Out. */
  optOutType: z.enum(['STOP', 'START', 'HELP']).optional(),
  mediaUrls: z.array(z.url()).max(10).default([]),
});

/** POST /api/twilio/inbound: a customer writes; answers what the webhook answered. */
export function inboundRoutes(intake: Intake, accounts: Accounts): Router {
  const router = new Router({ prefix: '/api/twilio' });
  router.post('/inbound', async (ctx) => {
    const message = await parseBody(ctx, Inbound);
    if (message === null) {
      return;
    }
    const account = message.accountSid
      ? accounts.get(message.accountSid)
      : accounts.values().next().value;
    if (!account) {
      ctx.status = 404;
      ctx.body = { error: 'no account has this SID' };
      return;
    }
    const sid = `${message.mediaUrls.length > 0 ? 'MM' : 'SM'}${randomBytes(16).toString('hex')}`;
    try {
      const posted = await postForm({
        url: message.url,
        fields: fieldsOf(sid, account.accountSid, message),
        authToken: account.authToken,
        signal: intake.closing,
      });
      ctx.body = { sid, ...posted };
    } catch (error) {
      ctx.status = 502;
      ctx.body = { sid, error: error instanceof Error ? error.message : String(error) };
    }
  });
  return router;
}

function fieldsOf(
  sid: string,
  accountSid: string,
  message: z.infer<typeof Inbound>,
): Record<string, string> {
  const { from, to, body, optOutType, mediaUrls } = message;
  const media = mediaUrls.flatMap((url, n) => [
    [`MediaUrl${n}`, url],
    [`MediaContentType${n}`, 'application/octet-stream'],
  ]);
  return {
    AccountSid: accountSid,
    ApiVersion: '2010-04-01',
    Body: body,
    From: from,
    MessageSid: sid,
    NumMedia: String(mediaUrls.length),
    NumSegments: String(countSegments(body)),
    SmsMessageSid: sid,
    SmsSid: sid,
    SmsStatus: 'received',
    To: to,
    ...Object.fromEntries(media),
    ...(isWhatsApp(from) ? { WaId: numberOf(from).slice(1), ProfileName: 'Sandbox' } : {}),
    ...(optOutType === undefined ? {} : { OptOutType: optOutType }),
  };
}
