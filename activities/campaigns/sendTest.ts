import { Context } from '@temporalio/activity';
import { compileStored } from '../../domain/messages/compileStored';
import { type RenderedMessage, RenderFailure } from '../../domain/messages/content';
import {
  previewRecipient,
  sampleCustomer,
  type ShownCustomer,
} from '../../domain/messages/preview';
import { renderOne } from '../../domain/messages/renderOne';
import { withTenant } from '../../models/base';
import {
  emailContent,
  loadCampaignContent,
  type EmailCampaignContent,
} from '../../models/campaigns/contents';
import {
  claimTestSend,
  getTestSend,
  settleTestSend,
  suppressedAmong,
  type TestSend,
  type TestSendState,
} from '../../models/campaigns/testSends';
import { findCustomer } from '../../models/customers/customers';
import { resolveAccount, type ResolvedAccount } from '../../models/messages/accounts';
import type { EmailOutcome } from '../../providers/email/types';
import type { MessageOutcome } from '../../providers/types';
import type { ActivityDeps } from '../deps';
import { outlastOutage } from '../messages/outlastOutage';

export interface TestSendRef {
  tenantId: string;
  testSendId: string;
}

/** How a test ended; the reason is the provider's and names nobody. */
export interface TestSendResult {
  state: TestSendState;
}

/** The one call of a test. It stands beside all ledgers and waits for no campaign's rate. */
export function createSendTest(deps: ActivityDeps) {
  return async function sendTest({ tenantId, testSendId }: TestSendRef): Promise<TestSendResult> {
    // Only the first of all attempts gets the test to call: one that is lost leaves it in doubt.
    const key = { tenantId, id: testSendId };
    const work = await withTenant(deps.db, tenantId, async (trx) => {
      const test = await claimTestSend(trx, key);
      if (test === null) {
        return null;
      }
      const { customerId } = test;
      return {
        test,
        account: await resolveAccount(trx, tenantId, 'email'),
        content: emailContent(await loadCampaignContent(trx, tenantId, test.campaignId)),
        customer:
          customerId === null
            ? sampleCustomer
            : await findCustomer(trx, { tenantId, id: customerId }),
        suppressed: await suppressedAmong(trx, tenantId, test.addresses),
      };
    });
    if (work !== null) {
      const end = work.suppressed.size > 0 ? suppressedEnd : await call(deps, tenantId, work);
      await outlastOutage(Context.current().cancellationSignal, () =>
        withTenant(deps.db, tenantId, (trx) => settleTestSend(trx, key, end)),
      );
    }
    return withTenant(deps.db, tenantId, async (trx) => ({
      state: (await getTestSend(trx, key)).state,
    }));
  };
}

type End = Parameters<typeof settleTestSend>[2];

const suppressedEnd: End = { state: 'refused', reason: 'suppressed' };

async function call(
  deps: ActivityDeps,
  tenantId: string,
  work: {
    test: TestSend;
    account: ResolvedAccount | null;
    content: EmailCampaignContent;
    customer: ShownCustomer | null;
  },
): Promise<End> {
  const { test, account, content } = work;
  if (account === null) {
    return { state: 'refused', reason: 'noProviderAccount' };
  }
  if (work.customer === null) {
    return { state: 'refused', reason: 'unknownCustomer' };
  }
  const message = render(deps, content, work.customer);
  if (message === null) {
    return { state: 'refused', reason: 'renderFailed' };
  }
  const recipient = previewRecipient(work.customer, deps.publicUrl);
  const sender = await deps.senders.of(tenantId, account.id);
  const mail = {
    ...message,
    subject: `[Test] ${message.subject}`,
    from: { email: content.fromEmail, name: content.fromName },
    replyTo: content.replyTo,
  };
  const { unsubscribe: unsubscribeUrl } = recipient.links;
  // No run has this id, so that the events of a test touch no ledger.
  const reference = { runId: test.id, dispatchN: 1, attempt: 1 };
  if (sender.batch !== null) {
    return endOf(
      await sender.batch.send({
        ...mail,
        reference,
        recipients: test.addresses.map((email, index) => ({
          messageN: index + 1,
          email,
          name: null,
          substitutionsJson: '{}',
          unsubscribeUrl,
        })),
      }),
    );
  }
  const ends = await Promise.all(
    test.addresses.map(async (email, index) => {
      const to = { email, name: null };
      const one = { ...mail, channel: 'email', to, unsubscribeUrl } as const;
      return endOf(await sender.send(one, { ...reference, messageN: index + 1 }));
    }),
  );
  return ends.reduce((worst, end) =>
    severity.indexOf(end.state) > severity.indexOf(worst.state) ? end : worst,
  );
}

// What the author has to know of: that one may have arrived all the same comes last.
const severity: End['state'][] = ['accepted', 'not_sent', 'refused', 'in_doubt'];

// Links of a test lead straight to their pages: there is no message to count clicks for.
function render(
  deps: ActivityDeps,
  content: EmailCampaignContent,
  customer: ShownCustomer,
): RenderedMessage | null {
  try {
    return renderOne(
      compileStored(content, { trackClicks: false, trackOpens: false }),
      previewRecipient(customer, deps.publicUrl),
      { at: new Date() },
    );
  } catch (error) {
    if (error instanceof RenderFailure) {
      return null;
    }
    throw error;
  }
}

function endOf(outcome: EmailOutcome | MessageOutcome): End {
  switch (outcome.kind) {
    case 'accepted':
      return { state: 'accepted', reason: null };
    case 'recipientsRefused':
    case 'recipientRefused':
    case 'messageRefused':
    case 'refused':
      return { state: 'refused', reason: outcome.reason };
    case 'throttled':
    case 'notSent':
      return { state: 'not_sent', reason: outcome.reason };
    case 'inDoubt':
      return { state: 'in_doubt', reason: outcome.reason };
  }
}
