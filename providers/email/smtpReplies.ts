import type { MessageOutcome } from '../types';
import type { SmtpAttempt, SmtpFailure, SmtpStep } from './smtpSession';
import { reasonIn } from '../vendorText';

type Verdict =
  | { kind: 'recipientRefused'; consequence: 'suppress' | 'addressInvalid' | 'none' }
  | { kind: 'messageRefused' }
  | { kind: 'throttled'; retryAfterMs: number; isGuess: true }
  | { kind: 'notSent'; retryAfterMs: number; onlyRecipient?: true };

/** A rule is of the replies that fit all it says; the first that fits decides. */
interface Rule {
  steps?: readonly SmtpStep[];
  /** The reply's first digits. */
  code: string;
  /** RFC 3463: class, subject, detail. */
  enhanced?: RegExp;
  says?: RegExp;
  verdict: Verdict;
}

const second = 1_000;
const minute = 60 * second;

const addressInvalid: Verdict = { kind: 'recipientRefused', consequence: 'addressInvalid' };
const thisOneRefused: Verdict = { kind: 'recipientRefused', consequence: 'none' };
const messageRefused: Verdict = { kind: 'messageRefused' };

/**
 * What each reply means, as data. A refusal is of the recipient where the recipient was named (RCPT)
 * or where its code speaks of an address or mailbox; anything else that is refused for good is of
 * the message. What is refused for now stops the account when the server is the one that has
 * enough, and this message alone when its mailbox is.
 */
const replyRules: readonly Rule[] = [
  // 421 ends the connection whatever it answers: too many connections, too much mail, going down.
  { code: '421', verdict: { kind: 'throttled', retryAfterMs: 10 * second, isGuess: true } },

  // Before a message was named nothing can be wrong with one, except for who asks.
  { steps: ['login'], code: '5', verdict: messageRefused },
  { code: '53', verdict: messageRefused },
  { steps: ['connection', 'login'], code: '', verdict: { kind: 'notSent', retryAfterMs: minute } },

  // The session has lost its step; the same message passes on another.
  { code: '503', verdict: { kind: 'notSent', retryAfterMs: 5 * second } },
  { steps: ['sender'], code: '5', verdict: messageRefused },

  // The mailbox has another owner than the one who gave the address (RFC 7293).
  { code: '5', enhanced: /^5\.7\.1[78]$/, verdict: addressInvalid },
  { code: '5', enhanced: /^5\.7\./, verdict: messageRefused },
  { code: '5', enhanced: /^5\.1\.[78]$/, verdict: messageRefused },
  // No such mailbox, no such domain, no syntax of an address, moved, takes no mail (RFC 7505).
  { code: '5', enhanced: /^5\.1\.(1|2|3|6|10)$/, verdict: addressInvalid },
  { code: '5', enhanced: /^5\.1\./, verdict: thisOneRefused },
  // Disabled by its owner or host: it exists, but mail is not wanted there.
  {
    code: '5',
    enhanced: /^5\.2\.1$/,
    verdict: { kind: 'recipientRefused', consequence: 'suppress' },
  },
  // Full, or this message is too big for it.
  { code: '5', enhanced: /^5\.2\./, verdict: thisOneRefused },
  { code: '5', enhanced: /^5\.(3\.4|6\.)/, verdict: messageRefused },

  // A server without enhanced codes: its words are believed when they say that nobody lives there.
  {
    steps: ['recipient'],
    code: '55',
    says: /\b(no such|unknown|invalid|non-?existent) (user|mailbox|recipient|address)|\b(user|mailbox|recipient|address)\b.{0,60}\b(unknown|not found|does(n't| not) exist|not exist)/i,
    verdict: addressInvalid,
  },
  { steps: ['recipient'], code: '5', verdict: thisOneRefused },
  // After the content came, what nobody explains is of the content: the recipient had been taken.
  { code: '5', verdict: messageRefused },

  // Greylisting knows sender and recipient: others pass, and this one does after some minutes.
  {
    steps: ['recipient', 'data'],
    code: '45',
    enhanced: /^4\.7\.1$/,
    verdict: { kind: 'notSent', retryAfterMs: 5 * minute, onlyRecipient: true },
  },
  {
    steps: ['recipient', 'data'],
    code: '45',
    says: /gr[ae]y-?list/i,
    verdict: { kind: 'notSent', retryAfterMs: 5 * minute, onlyRecipient: true },
  },
  // Other policies count what a sender does: the whole account waits.
  {
    code: '4',
    enhanced: /^4\.7\./,
    verdict: { kind: 'throttled', retryAfterMs: minute, isGuess: true },
  },
  // Full for now; people take their time.
  {
    code: '4',
    enhanced: /^4\.2\.2$/,
    verdict: { kind: 'notSent', retryAfterMs: 15 * minute, onlyRecipient: true },
  },
  {
    code: '4',
    enhanced: /^4\.[12]\./,
    verdict: { kind: 'notSent', retryAfterMs: 5 * minute, onlyRecipient: true },
  },
  // The server's own room or will is used up, whoever the recipient is.
  {
    code: '4',
    enhanced: /^4\.(3\.[12]|5\.3)$/,
    verdict: { kind: 'throttled', retryAfterMs: minute, isGuess: true },
  },
  { code: '452', verdict: { kind: 'throttled', retryAfterMs: minute, isGuess: true } },
  { code: '450', verdict: { kind: 'notSent', retryAfterMs: 5 * minute, onlyRecipient: true } },
  // 451 and the rest: something broke while this message was worked on.
  { code: '4', verdict: { kind: 'notSent', retryAfterMs: minute, onlyRecipient: true } },
];

const retryWithoutReplyMs = 5 * second;

/** What an attempt means for its message. */
export function outcomeOf(attempt: SmtpAttempt): MessageOutcome {
  if (attempt.kind === 'taken') {
    return { kind: 'accepted', status: 250, providerMessageId: queueIdIn(attempt.reply) };
  }
  const { reply, code, mayBeTaken } = attempt;
  const status = reply === null ? null : Number(reply.slice(0, 3));
  const reason = reasonIn(reply ?? code);
  if (mayBeTaken) {
    return { kind: 'inDoubt', status, reason };
  }
  if (status === null) {
    return withoutReply(attempt, reason);
  }
  const verdict = replyRules.find((rule) => fits(rule, attempt))?.verdict;
  return verdict === undefined
    ? // A success where none was asked for: before the content, so nothing was taken.
      { kind: 'notSent', status, reason, retryAfterMs: retryWithoutReplyMs }
    : { ...verdict, status, reason };
}

// Refusals that nodemailer makes itself, with the status that the server would have answered with.
const ownRefusals: readonly { step: SmtpStep; code: string; status: number }[] = [
  // Larger than the server said it takes.
  { step: 'sender', code: 'EMESSAGE', status: 552 },
  { step: 'connection', code: 'EAUTH', status: 535 },
  { step: 'login', code: 'EAUTH', status: 535 },
];

function withoutReply({ step, code }: SmtpFailure, reason: string): MessageOutcome {
  if (step === 'turn') {
    // The server is slow, or others of the line know what is wrong: no reason for the account to wait.
    return { kind: 'notSent', status: null, reason, retryAfterMs: 0 };
  }
  const own = ownRefusals.find((refusal) => refusal.step === step && refusal.code === code);
  return own === undefined
    ? { kind: 'notSent', status: null, reason, retryAfterMs: retryWithoutReplyMs }
    : { kind: 'messageRefused', status: own.status, reason };
}

function fits({ steps, code, enhanced, says }: Rule, { step, reply }: SmtpFailure): boolean {
  const text = reply ?? '';
  return (
    text.startsWith(code) &&
    (steps === undefined || steps.includes(step)) &&
    (enhanced === undefined || enhanced.test(enhancedCodeOf(text))) &&
    (says === undefined || says.test(text))
  );
}

function enhancedCodeOf(reply: string): string {
  return /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(reply)?.[1] ?? '';
}

// "250 2.0.0 Ok: queued as 4Fz2Xq" and the like: how the server's own log names the message.
function queueIdIn(reply: string): string | null {
  return /\b(?:queued as|queue id|id=)[ =:]?\s*<?([\w.@-]{4,200})/i.exec(reply)?.[1] ?? null;
}
