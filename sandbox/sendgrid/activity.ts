import Router from '@koa/router';
import type { Intake } from '../intake';
import type { Envelope } from '../vendor';
import { sendGridError, TOO_MANY_REQUESTS } from './errors';
import { refuseByKey } from './mailSend';

const VENDOR = 'sendgrid';
const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 1_000;
const REQUESTS_A_MINUTE = 6;
const MINUTE_MS = 60_000;

/** GET /v3/messages: the Email Activity Feed, for an account that has the licence. */
export function activityRoutes(intake: Intake, apiKeys: readonly string[] | null): Router {
  const router = new Router();
  const askedAt = new Map<string, number[]>();

  router.get('/v3/messages', async (ctx) => {
    const authorization = ctx.get('Authorization');
    const refused = refuseByKey(authorization, apiKeys);
    if (refused) {
      ctx.status = refused.status;
      ctx.body = refused.body;
      return;
    }
    if (!isWithinLimit(authorization, Date.now())) {
      ctx.status = 429;
      ctx.body = { errors: [TOO_MANY_REQUESTS] };
      return;
    }
    const conditions = readQuery(textOf(ctx.query['query']));
    const limit = Number(textOf(ctx.query['limit']) || DEFAULT_LIMIT);
    if (conditions === null || !Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
      ctx.status = 400;
      ctx.body = {
        errors: [
          conditions === null
            ? sendGridError('invalid query', 'query')
            : sendGridError('invalid limit', 'limit'),
        ],
      };
      return;
    }
    ctx.body = { messages: await find(intake, conditions, limit) };
  });
  return router;

  function isWithinLimit(key: string, now: number): boolean {
    const recent = (askedAt.get(key) ?? []).filter((at) => at > now - MINUTE_MS);
    const mayAsk = recent.length < REQUESTS_A_MINUTE;
    askedAt.set(key, mayAsk ? [...recent, now] : recent);
    return mayAsk;
  }
}

/** One condition of a query: a field, or one of the sender's own arguments, and its value. */
interface Condition {
  field: 'to_email' | 'from_email' | 'subject' | 'msg_id' | 'unique_args';
  argument: string;
  value: string;
}

const CONDITION =
  /^\(?\s*(?:(to_email|from_email|subject|msg_id)|(unique_args)\['([^']+)'\])\s*=\s*"([^"]*)"\s*\)?$/;

/** The conditions, all of which must hold; null for what this stand-in does not understand. */
function readQuery(text: string): Condition[] | null {
  const conditions: Condition[] = [];
  for (const part of text.split(/\s+AND\s+/i)) {
    const [, plain, own, argument = '', value = ''] = CONDITION.exec(part.trim()) ?? [];
    const field = plain ?? own;
    if (!isField(field)) {
      return null;
    }
    conditions.push({ field, argument, value });
  }
  return conditions;
}

function isField(text: string | undefined): text is Condition['field'] {
  return ['to_email', 'from_email', 'subject', 'msg_id', 'unique_args'].includes(text ?? '');
}

async function find(
  intake: Intake,
  conditions: readonly Condition[],
  limit: number,
): Promise<Record<string, unknown>[]> {
  const { mailbox } = intake;
  const run = conditions.find(({ argument }) => argument === 'carillon_r')?.value;
  const requests = run === undefined ? mailbox.allRequests() : mailbox.requestsOfRun(run);
  const found: Record<string, unknown>[] = [];
  for (const request of requests.toReversed()) {
    if (request.vendor !== VENDOR) {
      continue;
    }
    const open = await mailbox.open(request);
    for (const ordinal of open.deliveries.keys()) {
      const envelope = open.envelope(ordinal);
      const msgId = `${request.messageId}.sandbox-0.${ordinal}.0`;
      if (conditions.every((condition) => holds(condition, envelope, msgId))) {
        found.push({
          from_email: envelope.from.email,
          msg_id: msgId,
          subject: envelope.subject,
          to_email: envelope.recipient.email,
          status: envelope.outcome === 'delivered' ? 'delivered' : 'not_delivered',
          opens_count: 0,
          clicks_count: 0,
          last_event_time: new Date(request.receivedAt).toISOString(),
        });
      }
      if (found.length === limit) {
        return found;
      }
    }
  }
  return found;
}

function holds({ field, argument, value }: Condition, envelope: Envelope, msgId: string): boolean {
  switch (field) {
    case 'to_email':
      return envelope.recipient.email.toLowerCase() === value.toLowerCase();
    case 'from_email':
      return envelope.from.email.toLowerCase() === value.toLowerCase();
    case 'subject':
      return envelope.subject === value;
    case 'msg_id':
      return msgId === value;
    case 'unique_args':
      return envelope.customArgs[argument] === value;
  }
}

function textOf(value: string | string[] | undefined): string {
  return typeof value === 'string' ? value : '';
}
