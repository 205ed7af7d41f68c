import {
  absenceProves,
  lookUpRules,
  nextLookUpAt,
  type LookUpRule,
} from '../../../domain/messages/doubts/lookUps';

const calledAt = new Date('2026-03-20T09:00:00Z');
const minutesLater = (minutes: number) => new Date(calledAt.getTime() + minutes * 60_000);
const rule: LookUpRule = { firstAfterMs: 60_000, spacingMs: 0, absenceProvesAfterMs: 36_000_000 };

test.each([
  // times, minutes after the call, minutes after the call of the next one
  [1, 1, 3],
  [2, 3, 7],
  [6, 127, 191],
  [7, 191, 311],
  [30, 311, 431],
  // The proof is due at 600 minutes: it is not slept through.
  [30, 551, 600],
  [30, 600, 720],
  [2 ** 31, 720, 840],
])('after %d look-ups at minute %d the next is at minute %d', (times, at, next) => {
  expect(nextLookUpAt(rule, { calledAt, times, now: minutesLater(at) })).toEqual(
    minutesLater(next),
  );
});

test('absence proves nothing before the vendor has nothing waiting, and never where it forgets', () => {
  expect(absenceProves(rule, calledAt, minutesLater(599))).toBe(false);
  expect(absenceProves(rule, calledAt, minutesLater(600))).toBe(true);
  const forgetful = { ...rule, absenceProvesAfterMs: null };
  expect(absenceProves(forgetful, calledAt, minutesLater(100_000))).toBe(false);
});

test('the feed of SendGrid is asked no more often than its six times a minute', () => {
  expect(lookUpRules.sendgrid?.spacingMs).toBeGreaterThanOrEqual(60_000 / 6);
  expect(lookUpRules.sendgrid?.absenceProvesAfterMs).toBeNull();
});

test('Twilio’s queues hold a message for ten hours, so that only then its absence proves', () => {
  expect(lookUpRules.twilio?.absenceProvesAfterMs).toBeGreaterThan(10 * 3_600_000);
});
