import type { MessageEvent, SuppressionReason } from '../../domain/messages/events';
import { optOutWish } from '../../domain/messages/optOut';
import type { InboundMessage } from '../types';
import { callbackKeyName, readCallbackKey } from './callbackKey';
import { errorClassOf, type ErrorClass } from './errorCodes';
import { fieldOf, type CallbackParameters } from './signature';
import { statusMeaning } from './statuses';
import { cleaned } from '../vendorText';

/** Why a callback was passed over: it is none, tells nothing the ledger keeps, or is not of ours. */
export type SkipReason = 'unreadable' | 'unknownKind' | 'notOurs';

/** A status callback: its fields, and the address it was posted to, whose query holds our key. */
export interface StatusCallback {
  url: string;
  parameters: CallbackParameters;
  receivedAt: Date;
}

/**
 * A status callback in our words. The same status of the same message is the same event, however
 * often it comes. Without our key it speaks of its address alone, so it is kept only when that
 * address has to be suppressed.
 */
export function readStatusCallback(callback: StatusCallback): MessageEvent | SkipReason {
  const { url, parameters, receivedAt } = callback;
  const field = (name: string) => cleaned(fieldOf(parameters, name));
  const sid = field('MessageSid') || field('SmsSid');
  const status = (field('MessageStatus') || field('SmsStatus')).toLowerCase();
  if (!isSid(sid) || status === '') {
    return 'unreadable';
  }
  const meaning = statusMeaning(status);
  if (meaning === null) {
    return 'unknownKind';
  }
  const reference = readCallbackKey(keyOf(url));
  const suppress = suppressionOf(field('To'), errorClassOf(numberOf(field('ErrorCode'))));
  if (reference === null && suppress === null) {
    return 'notOurs';
  }
  return {
    providerEventId: `${sid}:${status}`,
    source: 'twilio',
    ...(reference ?? { runId: null, dispatchN: null, attempt: null, messageN: null }),
    kind: meaning.kind,
    occurredAt: receiptInstant(field('RawDlrDoneDate'), receivedAt),
    suppress,
    machine: false,
    detail: detailOf(field, sid, status),
  };
}

const mostMedia = 10;

/** An inbound message; null when it is none. */
export function readInboundMessage(parameters: CallbackParameters): InboundMessage | null {
  const field = (name: string) => cleaned(fieldOf(parameters, name));
  const providerMessageId = field('MessageSid') || field('SmsSid');
  const from = addressOf(field('From'));
  const to = addressOf(field('To'));
  if (!isSid(providerMessageId) || from === null || to === null) {
    return null;
  }
  const body = field('Body');
  const count = Math.min(numberOf(field('NumMedia')) ?? 0, mostMedia);
  const media = Array.from({ length: count }, (_, n) => ({
    url: field(`MediaUrl${n}`),
    type: field(`MediaContentType${n}`),
  }));
  return {
    channel: from.channel,
    providerMessageId,
    from: from.address,
    to: to.address,
    body,
    media: media.filter(({ url }) => url !== ''),
    writtenAt: null,
    optOut: optOutWish(body, field('OptOutType') || null),
  };
}

const suppressionReasons: Partial<Record<ErrorClass, SuppressionReason>> = {
  optedOut: 'unsubscribed',
  invalidNumber: 'invalid',
};

function suppressionOf(to: string, errorClass: ErrorClass | null): MessageEvent['suppress'] {
  const reason = errorClass === null ? undefined : suppressionReasons[errorClass];
  const about = addressOf(to);
  return reason === undefined || about === null ? null : { ...about, reason };
}

const longestAddress = 320;

function addressOf(text: string): { address: string; channel: 'sms' | 'whatsapp' } | null {
  const [, prefix, address = ''] = /^(whatsapp:)?\s*(.*)$/i.exec(text.trim()) ?? [];
  return address === '' || address.length > longestAddress
    ? null
    : { address, channel: prefix === undefined ? 'sms' : 'whatsapp' };
}

function keyOf(url: string): string | null {
  const query = url.indexOf('?');
  return query === -1 ? null : new URLSearchParams(url.slice(query)).get(callbackKeyName);
}

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** YYMMDDhhmm in UTC, as carriers tell it; they tell nonsense too, and of other time zones. */
function receiptInstant(text: string, receivedAt: Date): Date {
  const parts = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined) {
    return receivedAt;
  }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = parts;
  const ms = Date.UTC(2000 + year, month - 1, day, hour, minute);
  const age = receivedAt.getTime() - ms;
  // The end of the minute it names, so that nothing arrives before it was sent.
  return age >= minuteMs && age <= 2 * dayMs ? new Date(ms + minuteMs) : receivedAt;
}

const maxDetailLength = 1_000;

function detailOf(
  field: (name: string) => string,
  sid: string,
  status: string,
): Record<string, string> {
  const details = {
    status,
    providerMessageId: sid,
    reason: field('ErrorCode'),
    response: field('ErrorMessage').slice(0, maxDetailLength),
    type: field('ChannelPrefix'),
  };
  return Object.fromEntries(Object.entries(details).filter(([, text]) => text !== ''));
}

function numberOf(text: string): number | null {
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

function isSid(text: string): boolean {
  return /^(SM|MM)[\da-f]{32}$/i.test(text);
}
