import type { LookUp, MessageOutcome, MessageReference } from '../types';
import type { TwilioAccount } from './account';
import { callbackUrlOf } from './callbackKey';
import { openClient } from './client';
import { outcomeOfError } from './outcome';

/** One message as Twilio takes it, whatever its channel; addresses carry their channel's prefix. */
export interface TwilioMessage {
  to: string;
  sender: { from: string } | { messagingServiceSid: string };
  content: { body: string } | { contentSid: string; contentVariables: string } | TwilioMedia;
  reference: MessageReference;
  statusCallbackUrl: string | null;
  /** 1 to 36,000. */
  validityPeriodS?: number;
}

interface TwilioMedia {
  mediaUrl: string[];
  body?: string;
}

/** What is known of a call whose answer was lost. */
export interface TwilioSearch {
  to: string;
  sender: { from: string } | { messagingServiceSid: string };
  /** Null when only the vendor knows the text, as with templates. */
  body: string | null;
  calledAt: Date;
  knownIds: readonly string[];
}

export interface TwilioMessages {
  send(message: TwilioMessage): Promise<MessageOutcome>;
  /**
   * Looks for the message of a call by recipient, sender, text and time: Twilio keeps no key of
   * ours with a message. It lists by the time of sending, so what still waits in its queues is
   * missed: `notFound` proves nothing until the queue is known to be empty (10 hours at most,
   * `validityPeriodS` if it was given). Two messages that fit are `unknown`, and so is one with
   * another text: Twilio replaces characters where it was told to.
   */
  lookUp(search: TwilioSearch): Promise<LookUp>;
  close(): void;
}

/** Twilio's Messages API through its own client, which never retries: a call is made once. */
export function createTwilioMessages(account: TwilioAccount): TwilioMessages {
  const { client, close } = openClient(account);

  return { send, lookUp, close };

  async function send(message: TwilioMessage): Promise<MessageOutcome> {
    const { to, sender, content, reference, statusCallbackUrl, validityPeriodS } = message;
    try {
      const { statusCode, body } = await client.messages.createWithHttpInfo({
        to,
        ...sender,
        ...content,
        ...(statusCallbackUrl === null
          ? {}
          : { statusCallback: callbackUrlOf(statusCallbackUrl, reference) }),
        ...(validityPeriodS === undefined ? {} : { validityPeriod: validityPeriodS }),
      });
      // A success without an id is the answer of something else on the way.
      return isSid(body.sid)
        ? { kind: 'accepted', status: statusCode, providerMessageId: body.sid }
        : { kind: 'inDoubt', status: statusCode, reason: 'an answer without a message' };
    } catch (error) {
      return outcomeOfError(error, Date.now());
    }
  }

  async function lookUp(search: TwilioSearch): Promise<LookUp> {
    const { from, until } = windowOf(search.calledAt);
    try {
      const listed = await client.messages.list({
        to: search.to,
        ...('from' in search.sender ? { from: search.sender.from } : {}),
        dateSentAfter: from,
        pageSize: maxListed,
        limit: maxListed,
      });
      const known = new Set(search.knownIds);
      const ofThatTime = listed.filter(
        (message) =>
          !known.has(message.sid) &&
          message.dateCreated >= from &&
          message.dateCreated <= until &&
          ('from' in search.sender ||
            message.messagingServiceSid === search.sender.messagingServiceSid),
      );
      const found = ofThatTime.filter(({ body }) => search.body === null || body === search.body);
      return judge(
        found.map(({ sid }) => sid),
        { others: ofThatTime.length - found.length, isCut: listed.length === maxListed },
      );
    } catch (error) {
      const outcome = outcomeOfError(error, Date.now());
      return { kind: 'unknown', reason: 'reason' in outcome ? outcome.reason : outcome.kind };
    }
  }
}

const maxListed = 1_000;
// Whole seconds there, and clocks that differ.
const clockSkewMs = 60_000;
const longestCallMs = 5 * 60_000;

function windowOf(calledAt: Date): { from: Date; until: Date } {
  const at = calledAt.getTime();
  return { from: new Date(at - clockSkewMs), until: new Date(at + longestCallMs) };
}

function judge(sids: string[], { others, isCut }: { others: number; isCut: boolean }): LookUp {
  const [first, second] = sids;
  if (second !== undefined) {
    return { kind: 'unknown', reason: 'more than one message fits' };
  }
  if (first !== undefined) {
    return { kind: 'found', providerMessageId: first };
  }
  if (others > 0) {
    return { kind: 'unknown', reason: 'a message of that time has another text' };
  }
  return isCut ? { kind: 'unknown', reason: 'too many messages to look at' } : { kind: 'notFound' };
}

function isSid(sid: unknown): sid is string {
  return typeof sid === 'string' && /^(SM|MM)[\da-f]{32}$/i.test(sid);
}
