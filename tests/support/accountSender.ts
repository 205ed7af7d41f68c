import type { AccountSender } from '../../activities/messages/accountSenders';

/** The test account, whose vendor accepts every message, each by a call of its own. */
export function acceptingSender(change: Partial<AccountSender> = {}): AccountSender {
  return {
    accountId: 'sendgrid',
    channel: 'email',
    vendor: 'sendgrid',
    senders: [],
    isActive: true,
    batch: null,
    mostInBlock: 64,
    inTurn: (work) => work(),
    mostInHand: 1,
    send: () => Promise.resolve({ kind: 'accepted', status: 202, providerMessageId: null }),
    ...change,
  };
}
