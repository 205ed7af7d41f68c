import { Context } from '@temporalio/activity';
import { RenderFailure } from '../../domain/messages/content';
import {
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
  settleTestSend,
  suppressedAmong,
  type TestSend,
  type TestSendState,
} from '../../models/campaigns/testSends';
import { findCustomer } from '../../models/customers/customers';
import { resolveAccount, type ResolvedAccount } from '../../models/messages/accounts';
import { blockAccount, slowDown } from '../../models/messages/accountPace';
import type { ActivityDeps } from '../deps';
import { waitReasonOf } from '../messages/notTaken';
import { outlastOutage } from '../messages/outlastOutage';
import { callWithinLimits, type CalledTest } from './testCalls';

export interface TestSendRef {
  tenantId: string;
  testSendId: string;
}

/** How a test ended; the reason is the provider's and names nobody. */
export interface TestSendResult {
  state: TestSendState;
}

type TestDeps = Pick<ActivityDeps, 'db' | 'logger' | 'senders' | 'publicUrl'>;

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
      const called = await call(deps, { ...work, tenantId, signal });
      await outlastOutage(signal, () =>
        withTenant(deps.db, tenantId, (trx) => settleTestSend(trx, key, called.end)),
      );
      await tellAccount(deps.db, called);
    }
    return withTenant(deps.db, tenantId, async (trx) => ({
      state: (await getTestSend(trx, key)).state,
    }));
  };
}

interface TestWork {
  tenantId: string;
  test: TestSend;
  account: ResolvedAccount | null;
  content: CampaignContent;
  customer: ShownCustomer | null;
  suppressed: ReadonlySet<string>;
  signal: AbortSignal;
}

interface AccountSaid extends CalledTest {
  accountId: string | null;
}

async function call(deps: TestDeps, work: TestWork): Promise<AccountSaid> {
  const { tenantId, test, account, content, customer, suppressed, signal } = work;
  if (suppressed.size > 0) {
    return refused('suppressed');
  }
  if (account === null) {
    return refused('noProviderAccount');
  }
  if (customer === null) {
    return refused('unknownCustomer');
  }
  const message = render(deps, content, customer);
  if (message === null) {
    return refused('renderFailed');
  }
  const sender = await deps.senders.of(tenantId, account.id);
  const rendered = { tenantId, sender, message, test, signal };
  return { ...(await callWithinLimits(deps, rendered)), accountId: account.id };
}

function refused(reason: string): AccountSaid {
  return { end: { state: 'refused', reason }, throttled: null, accountId: null };
}

/** What the vendor asks for holds for all who call; where it names no time, one test proves little. */
async function tellAccount(db: Knex, { accountId, throttled }: AccountSaid): Promise<void> {
  if (accountId === null || throttled === null || 'isGuess' in throttled) {
    return;
  }
  await blockAccount(db, accountId, {
    forMs: throttled.retryAfterMs,
    reason: waitReasonOf(throttled),
  });
  await slowDown(db, accountId);
}

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
