import { outcomeOf } from '../../../providers/email/smtpReplies';
import type { SmtpFailure, SmtpStep } from '../../../providers/email/smtpSession';

const failed = (step: SmtpStep, reply: string | null, changes: Partial<SmtpFailure> = {}) =>
  outcomeOf({ kind: 'failed', step, reply, code: 'E', mayBeTaken: false, ...changes });

const addressInvalid = { kind: 'recipientRefused', consequence: 'addressInvalid' };
const suppress = { kind: 'recipientRefused', consequence: 'suppress' };
const thisOne = { kind: 'recipientRefused', consequence: 'none' };
const ofMessage = { kind: 'messageRefused' };
const notSent = (retryAfterMs: number) => ({ kind: 'notSent', retryAfterMs });
const throttled = { kind: 'throttled', retryAfterMs: 60_000 };
const closing = { kind: 'throttled', retryAfterMs: 10_000 };

test.each<[SmtpStep, string, object]>([
  ['recipient', '550 5.1.1 No such user', addressInvalid],
  ['recipient', '550-5.1.1 No such user\n550 5.1.1 Look again', addressInvalid],
  ['data', '550 5.1.1 No such user', addressInvalid],
  ['recipient', '550 5.1.2 No such domain', addressInvalid],
  ['recipient', '553 5.1.3 Bad address', addressInvalid],
  ['recipient', '551 5.1.6 Moved', addressInvalid],
  ['recipient', '556 5.1.10 Takes no mail', addressInvalid],
  ['recipient', '550 5.1.0 Rejected', thisOne],
  ['recipient', '550 5.1.4 Ambiguous', thisOne],
  ['recipient', '550 5.7.17 Has another owner now', addressInvalid],
  ['recipient', '550 5.2.1 Disabled', suppress],
  ['recipient', '552 5.2.2 Full', thisOne],
  ['data', '552 5.2.3 Too big for this mailbox', thisOne],
  ['recipient', '550 No such user here', addressInvalid],
  ['recipient', '550 Mailbox "ana" does not exist', addressInvalid],
  ['recipient', '550 Requested action not taken: mailbox unavailable', thisOne],
  ['recipient', '550 5.4.1 Recipient address rejected: Access denied', thisOne],
  ['recipient', '552 Storage exceeded', thisOne],
  ['recipient', '501 Syntax', thisOne],
  ['sender', '550 5.1.8 Bad sender', ofMessage],
  ['sender', '550 5.1.1 Unknown', ofMessage],
  ['recipient', '550 5.1.7 Bad sender', ofMessage],
  ['sender', '552 5.3.4 Too big', ofMessage],
  ['data', '552 5.3.4 Too big', ofMessage],
  ['data', '552 Too big', ofMessage],
  ['data', '554 5.6.0 Content', ofMessage],
  ['data', '554 Transaction failed', ofMessage],
  ['recipient', '554 5.7.1 Relay access denied', ofMessage],
  ['recipient', '550 5.7.26 Not authenticated mail', ofMessage],
  ['sender', '530 5.7.0 Log in first', ofMessage],
  ['login', '535 5.7.8 Wrong password', ofMessage],
  ['login', '504 5.5.4 No such mechanism', ofMessage],
  ['login', '454 4.7.0 Try again later', notSent(60_000)],
  ['connection', '554 No mail service here', notSent(60_000)],
  ['connection', '454 4.3.0 TLS not available', notSent(60_000)],
  ['recipient', '503 5.5.1 Out of step', notSent(5_000)],
  ['connection', '421 4.7.0 Too many connections', closing],
  ['sender', '421 4.3.2 Shutting down', closing],
  ['data', '421 4.7.28 Unusual rate', closing],
  ['data', '421 Closing', closing],
  ['sender', '450 4.7.1 You send too fast', throttled],
  ['recipient', '451 4.7.500 Server busy', throttled],
  ['recipient', '450 4.7.1 Come back later', notSent(300_000)],
  ['recipient', '451 Greylisted', notSent(300_000)],
  ['recipient', '452 4.2.2 Full', notSent(900_000)],
  ['recipient', '450 4.2.1 Busy mailbox', notSent(300_000)],
  ['recipient', '451 4.1.8 Sender cannot be resolved', notSent(300_000)],
  ['recipient', '450 Mailbox unavailable', notSent(300_000)],
  ['data', '451 4.3.0 Local error', notSent(60_000)],
  ['data', '451 Local error', notSent(60_000)],
  ['sender', '452 4.3.1 No room', throttled],
  ['sender', '452 No room', throttled],
  ['recipient', '452 4.5.3 Too many', throttled],
])('at %s "%s" means %j', (step, reply, expected) => {
  const outcome = failed(step, reply);
  expect(outcome).toMatchObject({ ...expected, status: Number(reply.slice(0, 3)) });
});

test('without a reply nothing was sent, unless the message may be there', () => {
  expect(failed('connection', null, { code: 'ECONNRESET' })).toEqual({
    kind: 'notSent',
    status: null,
    reason: 'ECONNRESET',
    retryAfterMs: 5_000,
  });
  expect(failed('connection', null, { code: 'ECONNRESET', mayBeTaken: true })).toEqual({
    kind: 'inDoubt',
    status: null,
    reason: 'ECONNRESET',
  });
});

test('a reply that does not refuse the message leaves it in doubt', () => {
  expect(failed('data', '354 Go on', { mayBeTaken: true })).toMatchObject({
    kind: 'inDoubt',
    status: 354,
  });
});

test('what the client refuses for the server is of the message', () => {
  expect(failed('sender', null, { code: 'EMESSAGE' })).toMatchObject({ ...ofMessage, status: 552 });
  expect(failed('login', null, { code: 'EAUTH' })).toMatchObject({ ...ofMessage, status: 535 });
});

test.each([
  ['250 2.0.0 Ok: queued as 4Fz2Xq0abc', '4Fz2Xq0abc'],
  ['250 OK id=1tZxyz-0001ab-CD', '1tZxyz-0001ab-CD'],
  ['250 2.6.0 <abc@host.example> [InternalId=123] Queued mail for delivery', null],
  ['250 OK', null],
])('the name of a message in "%s"', (reply, providerMessageId) => {
  expect(outcomeOf({ kind: 'taken', reply })).toEqual({
    kind: 'accepted',
    status: 250,
    providerMessageId,
  });
});
