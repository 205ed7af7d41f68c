import { accountWaitOf, outcomeOfBlock, type Reply } from '../../activities/messages/replies';
import type { MessageOutcome } from '../../providers/types';

const accepted: MessageOutcome = { kind: 'accepted', status: 250, providerMessageId: null };
const busy: MessageOutcome = {
  kind: 'throttled',
  status: 421,
  reason: 'later',
  retryAfterMs: 10_000,
  isGuess: true,
};
const asked: MessageOutcome = {
  kind: 'throttled',
  status: 429,
  reason: 'later',
  retryAfterMs: 800,
};
const full: MessageOutcome = {
  kind: 'notSent',
  status: 452,
  reason: 'mailbox full',
  retryAfterMs: 900_000,
  onlyRecipient: true,
};

test.each([
  ['nobody asks', [accepted, accepted], null],
  ['a vendor says how long', [accepted, accepted, asked], 800],
  ['a server refuses all', [busy, busy], 10_000],
  ['a server refuses one of ten', [busy, ...Array.from({ length: 9 }, () => accepted)], 100],
  ['a mailbox is full', [accepted, full], null],
])('the account waits when %s', (_, outcomes, delayMs) => {
  const wait = accountWaitOf(outcomes.map(reply));
  expect(wait === null ? null : Math.round(wait.delayMs)).toBe(delayMs);
});

test('a mailbox that stays full is given up after fifteen calls', () => {
  expect(outcomeOfBlock([reply(full, 0)], 14)).toMatchObject({
    refused: [],
    notSent: [{ n: 1, wait: { delayMs: 900_000, reason: 'recipientBusy' } }],
  });
  expect(outcomeOfBlock([reply(full, 0)], 15)).toMatchObject({
    refused: [{ n: 1, reason: 'mailbox full', suppress: null }],
    notSent: [],
  });
});

function reply(outcome: MessageOutcome, index: number): Reply {
  return {
    n: index + 1,
    message: { channel: 'sms', to: '+4930123456', sender: null, body: 'Hi' },
    outcome,
  };
}
