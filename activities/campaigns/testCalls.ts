import { previewLinks } from '../../domain/messages/preview';
import type { RenderedStored } from '../../domain/messages/renderStored';
import {
  interrupted,
  noTurn,
  onlySome,
  type settleTestSend,
  type TestSend,
} from '../../models/campaigns/testSends';
import { isOver, type Leave } from '../../models/messages/leave';
import { reserveRate } from '../../models/messages/rates';
import type { EmailOutcome, EmailProvider } from '../../providers/email/types';
import type { MessageOutcome } from '../../providers/types';
import type { ActivityDeps } from '../deps';
import type { AccountSender, OneMessage } from '../messages/accountSenders';
import { waitMs } from '../messages/wait';

type CallDeps = Pick<ActivityDeps, 'db' | 'logger' | 'publicUrl'>;

/** A test whose message is rendered. */
export interface RenderedTest {
  tenantId: string;
  sender: AccountSender;
  message: RenderedStored;
  test: TestSend;
  signal: AbortSignal;
}

export type TestEnd = Parameters<typeof settleTestSend>[2];
type Outcome = EmailOutcome | MessageOutcome;
type Throttled = Extract<Outcome, { kind: 'throttled' }>;

/** How a test ended, and what the vendor said about waiting, which is of the whole account. */
export interface CalledTest {
  end: TestEnd;
  throttled: Throttled | null;
}

/** One of a test's addresses, and its place among them from 1. */
interface Recipient {
  address: string;
  n: number;
}

interface CallOfTest {
  recipients: readonly Recipient[];
  outcome: Outcome;
}

// Its author looks on for fifteen seconds.
const longestWaitMs = 10_000;

/**
 * Calls for all addresses at once, or by parts where a limit is lower than that; whoever has no turn
 * within ten seconds is not called.
 */
export async function callWithinLimits(
  deps: CallDeps,
  rendered: RenderedTest,
): Promise<CalledTest> {
  const until = { endsAtMs: Date.now() + longestWaitMs, signal: rendered.signal };
  const ends: TestEnd[] = [];
  let throttled: Throttled | null = null;
  let waiting: Recipient[] = rendered.test.addresses.map((address, i) => ({ address, n: i + 1 }));
  while (waiting.length > 0) {
    const turn = await takeTurn(deps, { rendered, messages: waiting.length }, until);
    if (turn.kind === 'none') {
      ends.push({ state: 'not_sent', reason: turn.reason });
      break;
    }
    const { leave } = turn;
    const calls = await callEach(deps, rendered, waiting.slice(0, turn.messages), leave);
    const late = calls.filter(({ outcome }) => isLate(outcome, leave));
    waiting = [...late.flatMap(({ recipients }) => recipients), ...waiting.slice(turn.messages)];
    for (const { outcome } of calls.filter((call) => !late.includes(call))) {
      ends.push(endOf(outcome));
      throttled = outcome.kind === 'throttled' ? outcome : throttled;
    }
  }
  return { end: endOfAll(ends), throttled };
}

type Turn =
  | { kind: 'go'; messages: number; leave: Leave | null }
  | { kind: 'none'; reason: string };

/** A turn at the account for these messages, or as many as a limit lets through at a time. */
async function takeTurn(
  { db, logger }: CallDeps,
  { rendered, messages: wanted }: { rendered: RenderedTest; messages: number },
  { endsAtMs, signal }: { endsAtMs: number; signal: AbortSignal },
): Promise<Turn> {
  const { tenantId, sender } = rendered;
  const { accountId } = sender;
  let messages = wanted;
  let waitsFor: string | null = null;
  while (!signal.aborted && Date.now() < endsAtMs) {
    const calls = mailOf(rendered) === null ? messages : 1;
    let rate;
    try {
      rate = await reserveRate(db, { accountId, tenantId, calls, messages });
    } catch (error) {
      // It was not called: whoever asks again is not told that it may arrive.
      logger.warn({ err: error, accountId }, 'a test could not be counted');
      return { kind: 'none', reason: interrupted };
    }
    switch (rate.kind) {
      case 'unlimited':
        return { kind: 'go', messages, leave: null };
      case 'reserved':
        await waitMs(rate.waitMs, signal);
        if (!signal.aborted && !isOver(rate.leave)) {
          return { kind: 'go', messages, leave: rate.leave };
        }
        break;
      case 'tooLarge':
        messages = Math.max(rate.most, 1);
        break;
      case 'wait':
        waitsFor = rate.reason;
        if (rate.until.getTime() > endsAtMs) {
          return { kind: 'none', reason: `${noTurn}${waitsFor}` };
        }
        await waitMs(Math.max(rate.until.getTime() - Date.now(), 20), signal);
    }
  }
  return {
    kind: 'none',
    reason: signal.aborted || waitsFor === null ? interrupted : `${noTurn}${waitsFor}`,
  };
}

function callEach(
  deps: CallDeps,
  rendered: RenderedTest,
  recipients: readonly Recipient[],
  leave: Leave | null,
): Promise<CallOfTest[]> {
  const mail = mailOf(rendered);
  if (mail !== null) {
    return sendBatch(deps, mail, rendered.test, recipients).then((outcome) => [
      { recipients, outcome },
    ]);
  }
  const { sender, message, test } = rendered;
  return Promise.all(
    recipients.map(async (recipient) => {
      const written = addressed(deps, message, recipient.address);
      const reference = { ...referenceOf(test), messageN: recipient.n };
      const outcome = await sender.send(written, reference, leave?.beforeMs);
      return { recipients: [recipient], outcome };
    }),
  );
}

interface BatchMail {
  batch: EmailProvider;
  message: Extract<RenderedStored, { channel: 'email' }>;
}

/** Where one call carries all recipients; null where each is a call. */
function mailOf({ sender: { batch }, message }: RenderedTest): BatchMail | null {
  return message.channel === 'email' && batch !== null ? { batch, message } : null;
}

function sendBatch(
  { publicUrl }: CallDeps,
  { batch, message }: BatchMail,
  test: TestSend,
  recipients: readonly Recipient[],
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
    recipients: recipients.map(({ address, n }) => ({
      messageN: n,
      email: address,
      name: null,
      substitutionsJson: '{}',
      unsubscribeUrl,
    })),
  });
}

// No run has this id, so that the events of a test touch no ledger.
function referenceOf(test: TestSend) {
  return { runId: test.id, dispatchN: 1, attempt: 1 };
}

function addressed({ publicUrl }: CallDeps, message: RenderedStored, address: string): OneMessage {
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

// Its connection came too late for the windows it was counted in: nothing of it has left.
function isLate(outcome: Outcome, leave: Leave | null): boolean {
  return outcome.kind === 'notSent' && outcome.retryAfterMs === 0 && isOver(leave);
}

// What the author has to know of: that one may have arrived all the same comes last.
const severity: TestEnd['state'][] = ['accepted', 'not_sent', 'refused', 'in_doubt'];

/** The worst of them. What some have got is not sent to them again for the others' sake. */
function endOfAll(ends: readonly TestEnd[]): TestEnd {
  const worst = ends.reduce((found, end) =>
    severity.indexOf(end.state) > severity.indexOf(found.state) ? end : found,
  );
  return worst.state === 'not_sent' && ends.some(({ state }) => state === 'accepted')
    ? { state: 'refused', reason: `${onlySome}${worst.reason?.replace(noTurn, '')}` }
    : worst;
}

function endOf(outcome: Outcome): TestEnd {
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
