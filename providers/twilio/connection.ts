import type { ConnectionOutcome } from '../../domain/messages/accounts/types';
import { UnreadableAnswer, VendorReply } from '../http/strictHttp';
import type { TwilioAccount } from './account';
import { openClient } from './client';
import { outcomeOfError } from './outcome';

/** Asks Twilio for the account itself, once. Nothing is sent or changed by it. */
export async function testTwilio(
  account: Omit<TwilioAccount, 'accountId'>,
): Promise<ConnectionOutcome> {
  const { client, close } = openClient(account);
  try {
    const { status } = await client.api.v2010.accounts(account.accountSid).fetch();
    return outcomeOf(status);
  } catch (error) {
    return failureOf(error);
  } finally {
    close();
  }
}

function outcomeOf(status: unknown): ConnectionOutcome {
  switch (status) {
    case 'active':
      return { kind: 'accepted' };
    case 'suspended':
    case 'closed':
      return { kind: 'refused', reason: `the account is ${status}` };
    default:
      return notTwilio;
  }
}

const notTwilio: ConnectionOutcome = {
  kind: 'unreachable',
  reason: 'the answer is not one of Twilio',
};

function failureOf(error: unknown): ConnectionOutcome {
  if (error instanceof UnreadableAnswer) {
    return notTwilio;
  }
  const outcome = outcomeOfError(error, Date.now());
  // Postgres keeps no NUL, and a reason is one line.
  const reason = ('reason' in outcome ? outcome.reason : outcome.kind).replace(/\p{Cc}/gu, ' ');
  const isRefused = error instanceof VendorReply && [401, 403].includes(error.status);
  return { kind: isRefused ? 'refused' : 'unreachable', reason };
}
