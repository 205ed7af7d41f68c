import { z } from 'zod';
import { Message, MessageDetail } from '../../domain/messages/schema';
import { messageFacts, messageState, messageStates } from '../../domain/messages/states';
import { notFound } from '../../domain/errors';
import { findReportedRun, getReportedRun } from '../../models/campaigns/reports';
import type { LedgerMessage } from '../../models/messages/LedgerMessage';
import {
  findMessage,
  messagesWhere,
  messageSorts,
  type MessageAttempt,
  type StoredMessageEvent,
} from '../../models/messages/list';
import { listPage, listQuery } from '../lists';
import { reply, route } from '../route';
import { runFilter, whichRun } from './whichRun';

const tags = ['messages'];

const ListMessages = listQuery({
  item: Message,
  sorts: messageSorts,
  defaultSort: 'n',
  filters: {
    ...runFilter,
    state: z.enum(messageStates).optional(),
    reason: z.string().trim().min(1).max(300).optional(),
    customerId: z.uuid().optional(),
    fact: z
      .enum(messageFacts)
      .optional()
      .meta({ description: 'Only messages this has happened to' }),
  },
});

const listMessages = route({
  method: 'get',
  path: '/campaigns/:id/messages',
  name: 'listCampaignMessages',
  summary: 'A campaign’s messages, one a customer, each with what became of it',
  description: 'Of the newest run unless `run` names another one. Empty until the plan is written.',
  tags,
  permission: 'message:read',
  params: { id: 'campaign' },
  query: ListMessages,
  answers: { 200: z.array(Message) },
  problems: ['runNotFound'],
  async handler({ params: { id }, query, inTenant, tenantId }) {
    const { data, meta } = await inTenant(async (trx) => {
      const run = await findReportedRun(trx, { tenantId, campaignId: id }, query.run);
      return listPage(messagesWhere(trx, { tenantId, runId: run?.id ?? null }, query), {
        list: query,
        sorts: messageSorts,
        present: presentMessage,
        idColumn: 'n',
        idType: 'bigint',
      });
    });
    return reply(200, data, { meta });
  },
});

const messageNumber = { what: 'message', schema: z.string().regex(/^[1-9]\d{0,8}$/) } as const;

const getMessage = route({
  method: 'get',
  path: '/campaigns/:id/messages/:n',
  name: 'getCampaignMessage',
  summary: 'One message with its calls and its events',
  tags,
  permission: 'message:read',
  params: { id: 'campaign', n: messageNumber },
  query: whichRun,
  answers: { 200: MessageDetail },
  problems: ['runNotFound'],
  async handler({ params: { id, n }, query, inTenant, tenantId }) {
    const found = await inTenant(async (trx) => {
      const run = await getReportedRun(trx, { tenantId, campaignId: id }, query.run);
      return findMessage(trx, { tenantId, runId: run.id }, Number(n));
    });
    if (found === null) {
      throw notFound('message');
    }
    return reply(200, {
      ...presentMessage(found.message),
      providerMessageId: found.message.providerMessageId,
      attempts: found.attempts.map(presentAttempt),
      events: found.events.map(presentEvent),
    });
  },
});

export const messageRoutes = [listMessages, getMessage];

type Detail = z.output<typeof MessageDetail>;

function presentMessage(row: LedgerMessage): z.output<typeof Message> {
  return {
    n: row.n,
    runId: row.runId,
    customerId: row.customerId,
    customer: row.isCustomerThere
      ? {
          email: row.email,
          phone: row.phone,
          firstName: row.firstName,
          lastName: row.lastName,
        }
      : null,
    channel: row.channel,
    state: messageState(row.state),
    reason: row.reason,
    dispatch: row.dispatchN,
    wave: { planVersion: row.planVersion, n: row.waveN },
    timeZone: row.timeZone === '' ? null : row.timeZone,
    calledAt: row.calledAt?.toISOString() ?? null,
    deliveredAt: row.deliveredAt?.toISOString() ?? null,
    bouncedAt: row.bouncedAt?.toISOString() ?? null,
    complainedAt: row.complainedAt?.toISOString() ?? null,
    firstOpenedAt: row.firstOpenedAt?.toISOString() ?? null,
    firstClickedAt: row.firstClickedAt?.toISOString() ?? null,
    unsubscribedAt: row.unsubscribedAt?.toISOString() ?? null,
  };
}

export function presentAttempt(row: MessageAttempt): Detail['attempts'][number] {
  return {
    ...row,
    outcome: row.outcome === null ? null : attemptOutcomes[row.outcome],
    calledAt: row.calledAt.toISOString(),
    settledAt: row.settledAt?.toISOString() ?? null,
  };
}

const attemptOutcomes = {
  accepted: 'accepted',
  refused: 'refused',
  throttled: 'throttled',
  not_sent: 'notSent',
  in_doubt: 'inDoubt',
} as const;

export function presentEvent(row: StoredMessageEvent): Detail['events'][number] {
  return {
    ...row,
    occurredAt: row.occurredAt.toISOString(),
    receivedAt: row.receivedAt.toISOString(),
  };
}
