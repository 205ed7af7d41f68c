import type { z } from 'zod';
import { AppError } from '../../domain/errors';
import type { SigningAccount } from '../../models/messages/webhookAccounts';
import { readSendGridEvents } from '../../providers/email/sendgridEvents';
import {
  isSignedBySendGrid,
  signatureHeader,
  timestampHeader,
} from '../../providers/email/sendgridSignature';
import { bytes } from '../bodies';
import type { ApiContext } from '../context';
import type { ApiDeps } from '../deps';
import { publicRoute, reply } from '../route';
import { accountParams, invalidSignature, webhookAccount } from './accounts';
import { countSkipped, takeEvents } from './intake';
import { parseSigned, Receipt } from './jsonBody';

const limitBytes = 5 * 1024 * 1024;
const maxEvents = 20_000;

const shared = {
  method: 'post',
  root: true,
  tags: ['webhooks'],
  body: bytes({ types: ['application/json'], limitBytes }),
  answers: { 200: Receipt },
} as const;

const problems = [
  'invalidSignature',
  'staleSignature',
  'malformedJson',
  'notAnArray',
  'tooManyEvents',
  'webhookNotConfigured',
] as const;

// As workers write it when they start.
const platformAccount = { id: 'sendgrid', tenantId: null };

const receiveEvents = publicRoute({
  ...shared,
  path: '/webhooks/sendgrid',
  name: 'receiveSendGridEvents',
  summary: 'Take signed events from SendGrid',
  description:
    'Verified by its signature over the raw body, stored, answered; a delivery that comes again stores nothing.',
  problems,
  async handler({ body, context, deps }) {
    const publicKey = deps.config.SENDGRID_WEBHOOK_PUBLIC_KEY;
    if (publicKey === undefined) {
      throw new AppError(
        'unavailable',
        'webhookNotConfigured',
        'SENDGRID_WEBHOOK_PUBLIC_KEY is not set, so no event can be trusted.',
        { retryAfterSeconds: 300 },
      );
    }
    authenticate(context, body, publicKey);
    return reply(200, await take(deps, platformAccount, body));
  },
});

const receiveEventsOfAccount = publicRoute({
  ...shared,
  path: '/webhooks/sendgrid/:accountId',
  name: 'receiveSendGridEventsOfAccount',
  summary: 'Take signed events from a SendGrid account of a tenant',
  description:
    'The same, by the key that the account has as `credentials.webhookPublicKey`; without one nothing is taken. Events of runs that are not the account’s change nothing.',
  params: accountParams,
  problems,
  async handler({ params: { accountId }, body, context, deps }) {
    const account = await webhookAccount(deps, { id: accountId, vendor: 'sendgrid' });
    const publicKey = account?.opened.credentials.webhookPublicKey;
    if (account === null || publicKey === undefined) {
      throw invalidSignature();
    }
    authenticate(context, body, publicKey);
    return reply(200, await take(deps, account, body));
  },
});

export const sendGridWebhookRoutes = [receiveEvents, receiveEventsOfAccount];

async function take(
  deps: Pick<ApiDeps, 'db' | 'metrics'>,
  account: SigningAccount,
  body: Buffer,
): Promise<z.output<typeof Receipt>> {
  const batch = parseBatch(body);
  const { events, skipped } = readSendGridEvents(batch, new Date());
  const { stored } = await takeEvents(deps, { vendor: 'sendgrid', account, events });
  countSkipped(deps, 'sendgrid', skipped);
  return { received: batch.length, stored, skipped: batch.length - events.length };
}

// The vendor tries for 24 hours and may keep the first try's timestamp.
const oldestMs = 25 * 3_600_000;
const clockSkewMs = 10 * 60_000;

function authenticate(context: ApiContext, body: Buffer, publicKey: string): void {
  const signature = context.get(signatureHeader);
  const timestamp = context.get(timestampHeader);
  if (
    !/^\d{1,12}$/.test(timestamp) ||
    !isSignedBySendGrid(publicKey, { signature, timestamp, body })
  ) {
    throw invalidSignature();
  }
  const ageMs = Date.now() - Number(timestamp) * 1000;
  if (ageMs > oldestMs || ageMs < -clockSkewMs) {
    throw new AppError('unauthenticated', 'staleSignature', 'The timestamp is too far from now.');
  }
}

function parseBatch(body: Buffer): unknown[] {
  const value = parseSigned(body);
  if (!Array.isArray(value)) {
    throw new AppError('malformed', 'notAnArray', 'The body must be an array of events.');
  }
  if (value.length > maxEvents) {
    throw new AppError('malformed', 'tooManyEvents', `At most ${maxEvents} events a delivery.`);
  }
  return value;
}
