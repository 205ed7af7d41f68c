import type { z } from 'zod';
import type { Channel } from '../../domain/campaigns/types';
import { normalizeEmail } from '../../domain/customers/email';
import { normalizePhone } from '../../domain/customers/phone';
import { AppError, conflict, invalid, invalidField, notFound } from '../../domain/errors';
import { SendTest, TestSend } from '../../domain/messages/schema';
import type { Knex } from '../../lib/db';
import { publicUrl } from '../../lib/publicUrl';
import { loadCampaignContent } from '../../models/campaigns/contents';
import {
  getTestSend,
  interrupted,
  noTurn,
  onlySome,
  suppressedAmong,
  withdrawTestSend,
  writeTestSend,
  type TestSend as StoredTest,
} from '../../models/campaigns/testSends';
import { json } from '../bodies';
import { basePath, reply, route } from '../route';
import { renderShown, shownCustomer } from './rendering';
import { requireVerified } from '../identity/requireVerified';
import { requireAccount, unsendable } from './requireAccount';

const tags = ['campaigns'];

const sendTest = route({
  method: 'post',
  path: '/campaigns/:id/test-send',
  name: 'sendCampaignTest',
  summary: 'Send one customer’s message to up to five addresses of your own',
  description:
    'Addresses of the campaign’s channel. The subject of mail begins with "[Test]"; texts and WhatsApp messages are what customers would get. Links lead straight to their pages, and nothing is counted. It is never sent twice for one Idempotency-Key. 202 when it takes longer than 15 seconds: look at `Location` later.',
  tags,
  permission: 'campaign:test',
  params: { id: 'campaign' },
  body: json(SendTest),
  idempotent: true,
  answers: { 200: TestSend, 202: TestSend },
  problems: [
    ...unsendable,
    'providerFailed',
    'providerOutcomeUnknown',
    'workflowsUnavailable',
    'accountWaits',
    'emailNotVerified',
  ],
  async handler(request) {
    const { params, body, deps, inTenant, tenantId, userId, idempotentId, requestId } = request;
    const key = { tenantId, id: idempotentId() };
    const { content, test } = await inTenant(async (trx) => {
      const found = await loadCampaignContent(trx, tenantId, params.id);
      const to = normalizedAddresses(found.channel, body.to);
      await refuseSuppressed(trx, { tenantId, channel: found.channel, to });
      await requireAccount(trx, tenantId, found);
      await requireVerified(trx, request, found.channel);
      // What cannot be rendered is told at once and not to a worker.
      const customer = await shownCustomer(trx, tenantId, body.customerId);
      renderShown(found, customer, { publicUrl: publicUrl(deps.config), isTracked: false });
      return {
        content: found,
        test: await writeTestSend(trx, key, {
          campaignId: params.id,
          customerId: body.customerId ?? null,
          addresses: uniqueAddresses(to),
          createdBy: userId,
        }),
      };
    });
    if (test.state === 'planned' || test.state === 'calling') {
      try {
        await deps.testSends.sendTest({
          id: test.id,
          tenantId,
          campaignId: params.id,
          name: content.campaignName,
          channel: content.channel,
          recipients: test.recipientCount,
        });
      } catch (error) {
        deps.logger.warn({ requestId, campaignId: params.id, err: error }, 'test not started');
        // Nobody would start it later. If it was started after all, it stays what it has become.
        await inTenant((trx) => withdrawTestSend(trx, key));
      }
    }
    return answer(await inTenant((trx) => getTestSend(trx, key)));
  },
});

const getTest = route({
  method: 'get',
  path: '/campaigns/:id/test-sends/:testSendId',
  name: 'getCampaignTest',
  summary: 'What became of a test',
  tags,
  permission: 'campaign:read',
  params: { id: 'campaign', testSendId: 'testSend' },
  answers: { 200: TestSend },
  async handler({ params, inTenant, tenantId }) {
    const test = await inTenant((trx) => getTestSend(trx, { tenantId, id: params.testSendId }));
    if (test.campaignId !== params.id) {
      throw notFound('testSend');
    }
    return reply(200, presentTest(test));
  },
});

export const testSendRoutes = [sendTest, getTest];

function normalizedAddresses(channel: Channel, given: string[]): string[] {
  const { normalize, ...refusal } = addressRules[channel];
  const found = given.map(normalize);
  const wrong = found.flatMap((address, index) =>
    address === null ? [{ path: `to.${index}`, ...refusal }] : [],
  );
  if (wrong.length > 0) {
    throw invalid(wrong);
  }
  return found.filter((address) => address !== null);
}

const phoneRule = {
  normalize: normalizePhone,
  code: 'wrongPhone',
  message: 'Is not a phone number in E.164, such as "+4930123456".',
};

const addressRules = {
  email: {
    normalize: normalizeEmail,
    code: 'wrongEmail',
    message: 'Is not an email address mail can be sent to.',
  },
  sms: phoneRule,
  whatsapp: phoneRule,
} satisfies Record<Channel, unknown>;

function uniqueAddresses(to: string[]): string[] {
  return [...new Map(to.map((address) => [address.toLowerCase(), address])).values()];
}

async function refuseSuppressed(
  trx: Knex.Transaction,
  { tenantId, channel, to }: { tenantId: string; channel: Channel; to: string[] },
): Promise<void> {
  const suppressed = await suppressedAmong(trx, { tenantId, channel, addresses: to });
  if (suppressed.size > 0) {
    throw invalid(
      to.flatMap((address, index) => (suppressed.has(address) ? [suppressedProblem(index)] : [])),
    );
  }
}

function suppressedProblem(index: number) {
  return {
    path: `to.${index}`,
    code: 'suppressed',
    message: 'Nothing is sent to this address: it is on the suppression list.',
  };
}

function answer(test: StoredTest) {
  const headers = {
    Location: `${basePath}/campaigns/${test.campaignId}/test-sends/${test.id}`,
  };
  switch (test.state) {
    case 'accepted':
      return reply(200, presentTest(test), { headers });
    case 'planned':
    case 'calling':
      return reply(202, presentTest(test), { headers });
    case 'refused':
    case 'not_sent':
      throw notSent(test.reason ?? 'no reason given');
    case 'in_doubt':
      throw new AppError(
        'providerFailed',
        'providerOutcomeUnknown',
        `The provider did not say whether it took the test (${test.reason}): it may arrive, and is not sent again.`,
      );
    case 'cancelled':
    case 'expired':
      throw notNow();
  }
}

/** Reasons of ours are what changed since the request was checked; all others are the provider's. */
function notSent(reason: string): AppError {
  switch (reason) {
    case 'suppressed':
      return invalidField('to', 'suppressed', 'One of the addresses has just been suppressed.');
    case 'noProviderAccount':
      return conflict('noProviderAccount', 'There is no account any more by which it could leave.');
    case 'unknownCustomer':
      return invalidField('customerId', 'unknownCustomer', 'The customer has just been removed.');
    case 'renderFailed':
      return invalidField('customerId', 'renderFailed', 'The message cannot be rendered any more.');
    case interrupted:
      return notNow();
    default:
      return notTaken(reason);
  }
}

function notNow(): AppError {
  return new AppError(
    'unavailable',
    'workflowsUnavailable',
    'The test could not be sent now and will not be: ask again.',
    { retryAfterSeconds: 5 },
  );
}

function notTaken(reason: string): AppError {
  if (reason.startsWith(noTurn)) {
    const waitsFor = reason.slice(noTurn.length);
    return new AppError(
      'unavailable',
      'accountWaits',
      `Nothing may be sent by the account now (${waitsFor}), and nothing was: ask again later.`,
      { retryAfterSeconds: 60 },
    );
  }
  const says = reason.startsWith(onlySome)
    ? `Some of the addresses got the test, and this one is not sent again: ${reason.slice(onlySome.length)}`
    : `The provider did not take the test: ${reason}`;
  return new AppError('providerFailed', 'providerFailed', says);
}

function presentTest(test: StoredTest): z.output<typeof TestSend> {
  return {
    id: test.id,
    state: states[test.state],
    reason: test.reason,
    recipients: test.recipientCount,
    customerId: test.customerId,
    createdAt: test.createdAt.toISOString(),
    settledAt: test.settledAt?.toISOString() ?? null,
  };
}

const states = {
  planned: 'planned',
  calling: 'calling',
  accepted: 'accepted',
  refused: 'refused',
  not_sent: 'notSent',
  in_doubt: 'inDoubt',
  expired: 'expired',
  cancelled: 'cancelled',
} as const;
