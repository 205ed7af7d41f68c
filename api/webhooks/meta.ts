import { z } from 'zod';
import { AppError } from '../../domain/errors';
import { findAccountsOfNumbers, type SigningAccount } from '../../models/messages/webhookAccounts';
import { readMetaWebhook, type NumberDelivery } from '../../providers/meta/events';
import {
  answerVerification,
  isSignedByMeta,
  signatureHeader,
} from '../../providers/meta/signature';
import { bytes } from '../bodies';
import type { ApiDeps } from '../deps';
import { publicRoute, rawAnswer, rawReply, reply } from '../route';
import { accountParams, invalidSignature, webhookAccount, type AccountAt } from './accounts';
import { countSkipped, takeEvents, takeInbound } from './intake';
import { parseSigned, Receipt } from './jsonBody';

// The vendor says that a post has at most 3 MB.
const limitBytes = 4 * 1024 * 1024;

const shared = {
  root: true,
  path: '/webhooks/meta/:accountId',
  tags: ['webhooks'],
  params: accountParams,
} as const;

// A vendor's parameters, of which it may add others.
const Verification = z.object({
  'hub.mode': z.string().max(200).default(''),
  'hub.verify_token': z.string().max(500).default(''),
  'hub.challenge': z.string().max(500).default(''),
});

const verify = publicRoute({
  ...shared,
  method: 'get',
  name: 'verifyMetaWebhook',
  summary: 'Show Meta that a webhook’s address is the account’s',
  description: 'Echoes the challenge when the token is the account’s `credentials.verifyToken`.',
  query: Verification,
  answers: { 200: rawAnswer('text/plain; charset=utf-8') },
  problems: ['webhookNotVerified', 'webhookNotConfigured'],
  async handler({ params: { accountId }, query, deps }) {
    const account = await webhookAccount(deps, { id: accountId, vendor: 'meta' });
    const answer = answerVerification(account?.opened.credentials.verifyToken, {
      mode: query['hub.mode'],
      verifyToken: query['hub.verify_token'],
      challenge: query['hub.challenge'],
    });
    if (answer === null) {
      throw new AppError('forbidden', 'webhookNotVerified', 'The token is not this account’s.');
    }
    return rawReply(200, answer);
  },
});

const receive = publicRoute({
  ...shared,
  method: 'post',
  name: 'receiveMetaWebhook',
  summary: 'Take signed statuses and customers’ messages from Meta',
  description:
    'Verified by its signature over the raw body, stored, answered; what comes again stores nothing. An app posts for all its numbers to one address: what is of a number that no account of the same tenant has is passed over.',
  body: bytes({ types: ['application/json'], limitBytes }),
  answers: { 200: Receipt },
  problems: ['invalidSignature', 'malformedJson', 'webhookNotConfigured'],
  async handler({ params: { accountId }, body, context, deps }) {
    const account = await webhookAccount(deps, { id: accountId, vendor: 'meta' });
    const signature = context.get(signatureHeader);
    if (
      account === null ||
      !isSignedByMeta(account.opened.credentials.appSecret, body, signature)
    ) {
      throw invalidSignature();
    }
    const receivedAt = new Date();
    const { numbers, skipped } = readMetaWebhook(objectOf(body), receivedAt);
    const accounts = await accountsOf(deps, account, numbers);
    const sums = { received: 0, stored: 0, skipped: 0 };
    for (const number of numbers) {
      const owner = accounts.get(number.phoneNumberId);
      const told = number.events.length + number.inbound.length;
      sums.received += told;
      if (owner === undefined) {
        countSkipped(deps, 'meta', { wrongAccount: told });
        sums.skipped += told;
      } else {
        sums.stored += await take(deps, owner, number, receivedAt);
      }
    }
    countSkipped(deps, 'meta', skipped);
    const unread = Object.values(skipped).reduce((sum, count) => sum + count, 0);
    return reply(200, {
      ...sums,
      received: sums.received + unread,
      skipped: sums.skipped + unread,
    });
  },
});

export const metaWebhookRoutes = [verify, receive];

function objectOf(body: Buffer): object {
  const value = parseSigned(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError('malformed', 'malformedJson', 'The body must be a JSON object.');
  }
  return value;
}

/** Whose each number is: the account's own, or another account's of the same tenant. */
async function accountsOf(
  { db }: Pick<ApiDeps, 'db'>,
  { id, tenantId, opened }: AccountAt<'meta'>,
  numbers: readonly NumberDelivery[],
): Promise<Map<string, SigningAccount>> {
  const own = { id, tenantId };
  const others = numbers
    .map(({ phoneNumberId }) => phoneNumberId)
    .filter((phoneNumberId) => phoneNumberId !== opened.settings.phoneNumberId);
  const found = others.length === 0 ? [] : await findAccountsOfNumbers(db, own, others);
  return new Map([
    ...found.map((each) => [each.phoneNumberId, each.account] as const),
    [opened.settings.phoneNumberId, own],
  ]);
}

async function take(
  deps: ApiDeps,
  account: SigningAccount,
  { events, inbound }: NumberDelivery,
  receivedAt: Date,
): Promise<number> {
  const of = { vendor: 'meta', account } as const;
  const notes = inbound.map(({ channel, from, to, providerMessageId, optOut, writtenAt }) => ({
    channel,
    from,
    to,
    providerMessageId,
    wish: optOut,
    writtenAt: writtenAt ?? receivedAt,
  }));
  const kept = await takeEvents(deps, { ...of, events });
  const heard = await takeInbound(deps, { ...of, notes });
  return kept.stored + heard.stored;
}
