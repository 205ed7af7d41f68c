import { z } from 'zod';
import { AppError } from '../../domain/errors';
import { isTransactionConflict } from '../../lib/databaseErrors';
import type { Knex } from '../../lib/db';
import { Counter, type Registry } from '../../lib/metrics';
import { storeDelivery } from '../../models/messages/events';
import { readSendGridEvents, type ReadEvents } from '../../providers/email/sendgridEvents';
import {
  isSignedBySendGrid,
  signatureHeader,
  timestampHeader,
} from '../../providers/email/sendgridSignature';
import { bytes } from '../bodies';
import type { ApiContext } from '../context';
import { publicRoute, reply } from '../route';

const limitBytes = 5 * 1024 * 1024;
const maxEvents = 20_000;

const Receipt = z
  .object({
    received: z.int(),
    stored: z.int().meta({ description: 'Those that were not known before' }),
    skipped: z.int(),
  })
  .meta({ id: 'WebhookReceipt' });

const receiveSendGridEvents = publicRoute({
  method: 'post',
  path: '/webhooks/sendgrid',
  root: true,
  name: 'receiveSendGridEvents',
  summary: 'Take signed events from SendGrid',
  description:
    'Verified by its signature over the raw body, stored, answered; a delivery that comes again stores nothing.',
  tags: ['webhooks'],
  body: bytes({ types: ['application/json'], limitBytes }),
  answers: { 200: Receipt },
  problems: [
    'invalidSignature',
    'staleSignature',
    'malformedJson',
    'notAnArray',
    'tooManyEvents',
    'webhookNotConfigured',
  ],
  async handler({ body, context, deps }) {
    authenticate(context, body, deps.config.SENDGRID_WEBHOOK_PUBLIC_KEY);
    const batch = parseBatch(body);
    const read = readSendGridEvents(batch, new Date());
    const stored = await store(deps.db, read);
    const skipped = batch.length - read.events.length;
    count(deps.metrics, read, stored);
    return reply(200, { received: batch.length, stored, skipped });
  },
});

export const sendGridWebhookRoutes = [receiveSendGridEvents];

// The vendor tries for 24 hours and may keep the first try's timestamp.
const oldestMs = 25 * 3_600_000;
const clockSkewMs = 10 * 60_000;

function authenticate(context: ApiContext, body: Buffer, publicKey: string | undefined): void {
  if (publicKey === undefined) {
    throw new AppError(
      'unavailable',
      'webhookNotConfigured',
      'SENDGRID_WEBHOOK_PUBLIC_KEY is not set, so no event can be trusted.',
      { retryAfterSeconds: 300 },
    );
  }
  const signature = context.get(signatureHeader);
  const timestamp = context.get(timestampHeader);
  if (
    !/^\d{1,12}$/.test(timestamp) ||
    !isSignedBySendGrid(publicKey, { signature, timestamp, body })
  ) {
    throw unauthenticated('invalidSignature', 'The signature is not of this body and timestamp.');
  }
  const ageMs = Date.now() - Number(timestamp) * 1000;
  if (ageMs > oldestMs || ageMs < -clockSkewMs) {
    throw unauthenticated('staleSignature', 'The timestamp is too far from now.');
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

const storeAttempts = 3;

/** Stores in one order everywhere, so that the same events in two deliveries wait, not lock up. */
async function store(db: Knex, { events }: ReadEvents): Promise<number> {
  const keyOf = (event: { runId: string | null; providerEventId: string }) =>
    `${event.runId ?? ''}/${event.providerEventId}`;
  const ordered = events
    .map((event) => ({ key: keyOf(event), event }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ event }) => event);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await storeDelivery(db, ordered);
    } catch (error) {
      if (attempt === storeAttempts || !isTransactionConflict(error)) {
        throw error;
      }
    }
  }
}

const counterName = 'carillon_webhook_events_total';

function count(metrics: Registry, { events, skipped }: ReadEvents, stored: number): void {
  const known = metrics.getSingleMetric(counterName);
  const counter =
    known instanceof Counter
      ? known
      : new Counter({
          name: counterName,
          help: 'Events that providers posted, by what became of them',
          labelNames: ['vendor', 'result'],
          registers: [metrics],
        });
  const results = { stored, known: events.length - stored, ...skipped };
  for (const [result, events] of Object.entries(results)) {
    counter.inc({ vendor: 'sendgrid', result }, events);
  }
}

function unauthenticated(code: string, message: string): AppError {
  return new AppError('unauthenticated', code, message);
}
