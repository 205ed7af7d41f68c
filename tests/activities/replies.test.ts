import { createPressure, outcomeOfBlock, type Reply } from '../../activities/messages/replies';
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
  ['a server has refused everything for a while', Array.from({ length: 200 }, () => busy), 9_999],
  ['a server refuses one call', [busy], 25],
  ['a mailbox is full', [accepted, full], null],
])('how long the account waits when %s', (_, outcomes, delayMs) => {
  const wait = createPressure().waitAfter(outcomes.map(reply));
  expect(wait === null ? null : Math.round(wait.delayMs)).toBe(delayMs);
});

test('a server that takes calls again is asked more often again', () => {
  const pressure = createPressure();
  pressure.waitAfter(Array.from({ length: 200 }, () => busy).map(reply));
  pressure.waitAfter(Array.from({ length: 40 }, () => accepted).map(reply));
  expect(pressure.waitAfter([reply(busy, 0)])?.delayMs).toBeLessThan(500);
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
    address: '+4930123456',
    outcome,
  };
}
