import { Context } from '@temporalio/activity';
import { RenderFailure } from '../../domain/messages/content';
import {
  previewLinks,
  previewRecipient,
  sampleCustomer,
  type ShownCustomer,
} from '../../domain/messages/preview';
import { renderStored, type RenderedStored } from '../../domain/messages/renderStored';
import type { Knex } from '../../lib/db';
import { withTenant } from '../../models/base';
import { loadCampaignContent, type CampaignContent } from '../../models/campaigns/contents';
import {
  claimTestSend,
  getTestSend,
  noTurn,
  onlySome,
  settleTestSend,
  suppressedAmong,
  type TestSend,
  type TestSendState,
} from '../../models/campaigns/testSends';
import { findCustomer } from '../../models/customers/customers';
import { resolveAccount, type ResolvedAccount } from '../../models/messages/accounts';
import type { Leave } from '../../models/messages/leave';
import { blockAccount, slowDown } from '../../models/messages/rates';
import type { EmailOutcome, EmailProvider } from '../../providers/email/types';
import type { MessageOutcome } from '../../providers/types';
import type { ActivityDeps } from '../deps';
import type { AccountSender, OneMessage } from '../messages/accountSenders';
import { LaneTurns } from '../messages/laneTurns';
import { createLimitsOf } from '../messages/limitsOf';
import { waitReasonOf } from '../messages/notTaken';
import { outlastOutage } from '../messages/outlastOutage';

export interface TestSendRef {
  tenantId: string;
  testSendId: string;
}

/** How a test ended; the reason is the provider's and names nobody. */
export interface TestSendResult {
  state: TestSendState;
}

type TestDeps = Pick<ActivityDeps, 'db' | 'senders' | 'leaseMs' | 'publicUrl'>;

/** The calls of a test, which stand beside all ledgers and under the account's limits. */
export function createSendTest(deps: TestDeps) {
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
      const signal = Context.current().cancellationSignal;
      const end =
        work.suppressed.size > 0 ? suppressedEnd : await call(deps, { ...work, tenantId, signal });
      await outlastOutage(signal, () =>
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
  deps: TestDeps,
  work: {
    tenantId: string;
    test: TestSend;
    account: ResolvedAccount | null;
    content: CampaignContent;
    customer: ShownCustomer | null;
    signal: AbortSignal;
  },
): Promise<End> {
  const { tenantId, test, account, content, signal } = work;
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
  return sendWithinLimits(deps, { tenantId, sender, message, test, signal });
}

// Its author looks on for fifteen seconds.
const longestWaitMs = 10_000;

/** All at once, or by parts where a limit is lower than that; nobody whose turn is far away. */
async function sendWithinLimits(
  deps: TestDeps,
  work: {
    tenantId: string;
    sender: AccountSender;
    message: RenderedStored;
    test: TestSend;
    signal: AbortSignal;
  },
): Promise<End> {
  const { tenantId, sender, message, test, signal } = work;
  const { accountId, batch } = sender;
  const limitsOf = createLimitsOf(deps.db);
  const turns = new LaneTurns(deps.db, {
    accountId,
    tenantId,
    signal,
    endsAtMs: Date.now() + longestWaitMs,
    leaseMs: deps.leaseMs,
    mostInBlock: test.addresses.length,
    limitsNow: () => limitsOf(tenantId, accountId),
  });
  const ends: End[] = [];
  let called = 0;
  while (called < test.addresses.length) {
    // No gate asks for it whether the vendor has told the account to wait.
    turns.noteRefusal();
    const turn = await turns.take(Math.min(turns.mostInBlock, test.addresses.length - called), () =>
      Promise.resolve(),
    );
    if (turn.kind === 'end') {
      ends.push({ state: 'not_sent', reason: `${noTurn}${turn.wait?.reason ?? 'stopped'}` });
      break;
    }
    const addresses = test.addresses.slice(called, called + turns.mostInBlock);
    const part = { test, addresses, firstN: called + 1, leave: turn.leave };
    const outcomes =
      message.channel === 'email' && batch !== null
        ? [await sendBatch(deps, batch, { ...part, message })]
        : await sendEach(deps, sender, { ...part, message });
    await noteRefusals(deps.db, accountId, outcomes);
    ends.push(...outcomes.map(endOf));
    called += addresses.length;
  }
  return endOfAll(ends);
}

type RenderedMail = Extract<RenderedStored, { channel: 'email' }>;

/** Some of a test's addresses, and the number of the first. */
interface Part {
  test: TestSend;
  addresses: readonly string[];
  firstN: number;
  leave: Leave | null;
}

function sendBatch(
  { publicUrl }: TestDeps,
  batch: EmailProvider,
  { test, addresses, firstN, message }: Part & { message: RenderedMail },
): Promise<EmailOutcome> {
  const { subject, html, text, from, replyTo } = message;
  const { unsubscribe: unsubscribeUrl } = previewLinks(publicUrl);
  return batch.send({
    from,
    replyTo,
    subject: subjectOfTest(subject),
    html,
    text,
    reference: referenceOf(test),
    recipients: addresses.map((email, index) => ({
      messageN: firstN + index,
      email,
      name: null,
      substitutionsJson: '{}',
      unsubscribeUrl,
    })),
  });
}

function sendEach(
  deps: TestDeps,
  sender: AccountSender,
  { test, addresses, firstN, leave, message }: Part & { message: RenderedStored },
): Promise<MessageOutcome[]> {
  return Promise.all(
    addresses.map((address, index) =>
      sender.send(
        addressed(deps, message, address),
        { ...referenceOf(test), messageN: firstN + index },
        leave?.beforeMs,
      ),
    ),
  );
}

/** What the vendor says about waiting is of the whole account, whoever called. */
async function noteRefusals(
  db: Knex,
  accountId: string,
  outcomes: readonly (EmailOutcome | MessageOutcome)[],
): Promise<void> {
  for (const outcome of outcomes) {
    if (outcome.kind === 'throttled') {
      await blockAccount(db, accountId, {
        forMs: outcome.retryAfterMs,
        reason: waitReasonOf(outcome),
      });
      await slowDown(db, accountId);
    }
  }
}

/** The worst of them. What some have got is not sent to them again for the others' sake. */
function endOfAll(ends: readonly End[]): End {
  const worst = ends.reduce((found, end) =>
    severity.indexOf(end.state) > severity.indexOf(found.state) ? end : found,
  );
  return worst.state === 'not_sent' && ends.some(({ state }) => state === 'accepted')
    ? { state: 'refused', reason: `${onlySome}${worst.reason}` }
    : worst;
}

// No run has this id, so that the events of a test touch no ledger.
function referenceOf(test: TestSend) {
  return { runId: test.id, dispatchN: 1, attempt: 1 };
}

function addressed({ publicUrl }: TestDeps, message: RenderedStored, address: string): OneMessage {
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
  deps: TestDeps,
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
