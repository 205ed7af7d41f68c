import type { z } from 'zod';
import { AppError, invalid, invalidField, notFound } from '../../domain/errors';
import { compileStored } from '../../domain/messages/compileStored';
import { previewRecipient } from '../../domain/messages/preview';
import { SendTest, TestSend } from '../../domain/messages/schema';
import type { Knex } from '../../lib/db';
import { publicUrl } from '../../lib/publicUrl';
import { emailContent, loadCampaignContent } from '../../models/campaigns/contents';
import {
  getTestSend,
  suppressedAmong,
  withdrawTestSend,
  writeTestSend,
  type TestSend as StoredTest,
} from '../../models/campaigns/testSends';
import { json } from '../bodies';
import { basePath, reply, route } from '../route';
import { renderShown, shownCustomer } from './rendering';

const tags = ['campaigns'];

const sendTest = route({
  method: 'post',
  path: '/campaigns/:id/test-send',
  name: 'sendCampaignTest',
  summary: 'Send one customer’s message to up to five addresses of your own',
  description:
    'The subject begins with "[Test]", links lead straight to their pages, and nothing is counted. It is never sent twice for one Idempotency-Key. 202 when it takes longer than 15 seconds: look at `Location` later.',
  tags,
  permission: 'campaign:test',
  params: { id: 'campaign' },
  body: json(SendTest),
  idempotent: true,
  answers: { 200: TestSend, 202: TestSend },
  problems: ['providerFailed', 'providerOutcomeUnknown', 'workflowsUnavailable'],
  async handler({ params, body, deps, inTenant, tenantId, userId, idempotentId, requestId }) {
    const addresses = uniqueAddresses(body.to);
    const key = { tenantId, id: idempotentId() };
    const { content, test } = await inTenant(async (trx) => {
      const found = emailContent(await loadCampaignContent(trx, tenantId, params.id));
      await refuseSuppressed(trx, tenantId, body.to);
      // What cannot be rendered is told at once and not to a worker.
      const customer = await shownCustomer(trx, tenantId, body.customerId);
      renderShown(compileStored(found), previewRecipient(customer, publicUrl(deps.config)));
      return {
        content: found,
        test: await writeTestSend(trx, key, {
          campaignId: params.id,
          customerId: body.customerId ?? null,
          addresses,
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
          recipients: addresses.length,
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

function uniqueAddresses(given: string[]): string[] {
  return [...new Map(given.map((address) => [address.toLowerCase(), address])).values()];
}

async function refuseSuppressed(
  trx: Knex.Transaction,
  tenantId: string,
  to: string[],
): Promise<void> {
  const suppressed = await suppressedAmong(trx, tenantId, to);
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
      throw new AppError(
        'unavailable',
        'workflowsUnavailable',
        'The test could not be sent now and will not be: ask again.',
        { retryAfterSeconds: 5 },
      );
  }
}

/** Reasons of ours are what changed since the request was checked; all others are the provider's. */
function notSent(reason: string): AppError {
  switch (reason) {
    case 'suppressed':
      return invalidField('to', 'suppressed', 'One of the addresses has just been suppressed.');
    case 'unknownCustomer':
      return invalidField('customerId', 'unknownCustomer', 'The customer has just been removed.');
    case 'renderFailed':
      return invalidField('customerId', 'renderFailed', 'The message cannot be rendered any more.');
    default:
      return new AppError(
        'providerFailed',
        'providerFailed',
        `The provider did not take the test: ${reason}`,
      );
  }
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
