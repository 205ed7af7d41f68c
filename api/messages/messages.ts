import type { z } from 'zod';
import { AppError } from '../../domain/errors';
import { messageState } from '../../domain/messages/states';
import {
  AcceptedMessage,
  SendMessage,
  TransactionalMessage,
} from '../../domain/messages/transactional/schema';
import type { QuotaLeases } from '../../models/identity/quotaLeases';
import { acceptMessage } from '../../models/transactional/accept';
import { tellLanes } from '../../models/transactional/channel';
import { getTransactional } from '../../models/transactional/find';
import { json } from '../bodies';
import { presentAttempt, presentEvent } from '../campaigns/messages';
import { basePath, reply, route } from '../route';
import { requireVerified } from '../identity/requireVerified';
import { prepareMessage } from './prepare';

const tags = ['messages'];

const sendMessage = route({
  method: 'post',
  path: '/messages',
  name: 'sendMessage',
  summary: 'Send one message to one person now: a receipt, a code, a password to set anew',
  description:
    'It leaves by a lane of its own, at once, whatever campaigns do. It is for what somebody waits for: withdrawn consent and an unsubscription from mail do not stop it; bounces, complaints, STOP and what you suppressed do (it is left out then, with the reason). Nothing in it is tracked, and what it says is forgotten when it has ended. An Idempotency-Key is one message for good, also after its 24 hours.',
  tags,
  permission: 'message:send',
  body: json(SendMessage),
  idempotent: true,
  answers: { 202: AcceptedMessage },
  problems: [
    'idempotencyKeyReused',
    'noProviderAccount',
    'featureNotInPlan',
    'quotaReached',
    'emailNotVerified',
  ],
  async handler(request) {
    const { body, deps, inTenant, tenantId, userId, idempotentId, idempotencyKey } = request;
    const accepted = await counted(deps.quotas, tenantId, () =>
      inTenant(async (trx) => {
        await requireVerified(trx, request, body.channel);
        return acceptMessage(
          trx,
          await prepareMessage(trx, body, { tenantId, userId, id: idempotentId(), idempotencyKey }),
        );
      }),
    );
    if (accepted.isNew) {
      // Nobody waits for it: it costs the message a moment when it fails.
      tellLanes(deps.db).catch((error: unknown) => {
        deps.logger.warn({ err: error }, 'lanes not told of a message');
      });
    }
    // What was accepted before says how it stands by now.
    const state = accepted.isNew
      ? 'planned'
      : await inTenant(async (trx) =>
          messageState((await getTransactional(trx, { tenantId, id: accepted.id })).message.state),
        );
    return reply(
      202,
      { id: accepted.id, state },
      { headers: { Location: `${basePath}/messages/${accepted.id}` } },
    );
  },
});

const getMessage = route({
  method: 'get',
  path: '/messages/:id',
  name: 'getMessage',
  summary: 'What became of a message that was sent by itself, with its calls and its events',
  tags,
  permission: 'message:read',
  params: { id: 'message' },
  answers: { 200: TransactionalMessage },
  async handler({ params: { id }, inTenant, tenantId }) {
    const found = await inTenant((trx) => getTransactional(trx, { tenantId, id }));
    return reply(200, present(found));
  },
});

/** Counts a message as sent when it is a new one. */
async function counted<T extends { isNew: boolean }>(
  quotas: QuotaLeases,
  tenantId: string,
  accept: () => Promise<T>,
): Promise<T> {
  await quotas.take(tenantId, 'messages');
  try {
    const accepted = await accept();
    if (!accepted.isNew) {
      quotas.giveBack(tenantId, 'messages');
    }
    return accepted;
  } catch (error) {
    // Where the answer of the commit was lost the message may be there: it stays counted.
    if (error instanceof AppError) {
      quotas.giveBack(tenantId, 'messages');
    }
    throw error;
  }
}

export const transactionalRoutes = [sendMessage, getMessage];

function present({
  asked,
  message,
  attempts,
  events,
}: Awaited<ReturnType<typeof getTransactional>>): z.output<typeof TransactionalMessage> {
  return {
    id: asked.id,
    channel: message.channel,
    customerId: asked.customerId,
    state: messageState(message.state),
    reason: message.reason,
    createdAt: asked.createdAt.toISOString(),
    waitsUntil: asked.waitsUntil?.toISOString() ?? null,
    waitReason: asked.waitReason,
    calledAt: message.calledAt?.toISOString() ?? null,
    deliveredAt: message.deliveredAt?.toISOString() ?? null,
    bouncedAt: message.bouncedAt?.toISOString() ?? null,
    complainedAt: message.complainedAt?.toISOString() ?? null,
    providerMessageId: message.providerMessageId,
    attempts: attempts.map(presentAttempt),
    events: events.map(presentEvent),
  };
}
