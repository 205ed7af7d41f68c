import { z } from 'zod';
import { AppError } from '../../domain/errors';
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
import { takeEvents } from './intake';

const limitBytes = 5 * 1024 * 1024;
const maxEvents = 20_000;

const Receipt = z
  .object({
    received: z.int(),
    stored: z.int().meta({ description: 'Those that were not known before' }),
    skipped: z.int(),
  })
  .meta({ id: 'WebhookReceipt' });

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
const platformAccountId = 'sendgrid';

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
    return reply(200, await take(deps, platformAccountId, body));
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
    return reply(200, await take(deps, account.id, body));
  },
});

export const sendGridWebhookRoutes = [receiveEvents, receiveEventsOfAccount];

async function take(
  deps: Pick<ApiDeps, 'db' | 'metrics'>,
  accountId: string,
  body: Buffer,
): Promise<z.output<typeof Receipt>> {
  const batch = parseBatch(body);
  const { events, skipped } = readSendGridEvents(batch, new Date());
  const { stored } = await takeEvents(deps, { vendor: 'sendgrid', accountId, events, skipped });
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
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new AppError('malformed', 'malformedJson', 'The body is not valid JSON.', { cause });
  }
  if (!Array.isArray(value)) {
    throw new AppError('malformed', 'notAnArray', 'The body must be an array of events.');
  }
  if (value.length > maxEvents) {
    throw new AppError('malformed', 'tooManyEvents', `At most ${maxEvents} events a delivery.`);
  }
  return value;
}
