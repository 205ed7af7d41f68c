import { Context } from '@temporalio/activity';
import { RenderFailure } from '../../domain/messages/content';
import {
  previewLinks,
  previewRecipient,
  sampleCustomer,
  type ShownCustomer,
} from '../../domain/messages/preview';
import { renderStored, type RenderedStored } from '../../domain/messages/renderStored';
import { withTenant } from '../../models/base';
import { loadCampaignContent, type CampaignContent } from '../../models/campaigns/contents';
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
import type { EmailOutcome, EmailProvider } from '../../providers/email/types';
import type { MessageOutcome } from '../../providers/types';
import type { ActivityDeps } from '../deps';
import type { AccountSender, OneMessage } from '../messages/accountSenders';
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
      const { customerId, addresses } = test;
      const content = await loadCampaignContent(trx, tenantId, test.campaignId);
      const { channel } = content;
      return {
        test,
        content,
        account: await resolveAccount(trx, tenantId, channel),
        customer:
          customerId === null
            ? sampleCustomer
            : await findCustomer(trx, { tenantId, id: customerId }),
        suppressed: await suppressedAmong(trx, { tenantId, channel, addresses }),
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
    content: CampaignContent;
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
  const sender = await deps.senders.of(tenantId, account.id);
  return message.channel === 'email' && sender.batch !== null
    ? sendBatch(deps, sender.batch, { test, message })
    : sendEach(deps, sender, { test, message });
}

type RenderedMail = Extract<RenderedStored, { channel: 'email' }>;

async function sendBatch(
  { publicUrl }: ActivityDeps,
  batch: EmailProvider,
  { test, message }: { test: TestSend; message: RenderedMail },
): Promise<End> {
  const { subject, html, text, from, replyTo } = message;
  const { unsubscribe: unsubscribeUrl } = previewLinks(publicUrl);
  const outcome = await batch.send({
    from,
    replyTo,
    subject: subjectOfTest(subject),
    html,
    text,
    reference: referenceOf(test),
    recipients: test.addresses.map((email, index) => ({
      messageN: index + 1,
      email,
      name: null,
      substitutionsJson: '{}',
      unsubscribeUrl,
    })),
  });
  return endOf(outcome);
}

async function sendEach(
  deps: ActivityDeps,
  sender: AccountSender,
  { test, message }: { test: TestSend; message: RenderedStored },
): Promise<End> {
  const ends = await Promise.all(
    test.addresses.map(async (address, index) =>
      endOf(
        await sender.send(addressed(deps, message, address), {
          ...referenceOf(test),
          messageN: index + 1,
        }),
      ),
    ),
  );
  return ends.reduce((worst, end) =>
    severity.indexOf(end.state) > severity.indexOf(worst.state) ? end : worst,
  );
}

// No run has this id, so that the events of a test touch no ledger.
function referenceOf(test: TestSend) {
  return { runId: test.id, dispatchN: 1, attempt: 1 };
}

function addressed(
  { publicUrl }: ActivityDeps,
  message: RenderedStored,
  address: string,
): OneMessage {
  switch (message.channel) {
    case 'email':
      return {
        channel: 'email',
        from: message.from,
        replyTo: message.replyTo,
        to: { email: address, name: null },
        subject: subjectOfTest(message.subject),
        html: message.html,
        text: message.text,
        unsubscribeUrl: previewLinks(publicUrl).unsubscribe,
      };
    case 'sms':
      return { ...message, to: address };
    case 'whatsapp':
      return {
        channel: 'whatsapp',
        to: address,
        sender: message.sender,
        content: message.message,
      };
  }
}

// A text has no room for a mark, and a template none at all.
function subjectOfTest(subject: string): string {
  return `[Test] ${subject}`;
}

// What the author has to know of: that one may have arrived all the same comes last.
const severity: End['state'][] = ['accepted', 'not_sent', 'refused', 'in_doubt'];

// Links of a test lead straight to their pages: there is no message to count clicks for.
function render(
  deps: ActivityDeps,
  content: CampaignContent,
  customer: ShownCustomer,
): RenderedStored | null {
  try {
    return renderStored(content, previewRecipient(customer, deps.publicUrl), {
      at: new Date(),
      isTracked: false,
    });
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
