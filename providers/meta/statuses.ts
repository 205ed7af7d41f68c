import { createHash } from 'node:crypto';
import type { EventKind, MessageEvent, SuppressionReason } from '../../domain/messages/events';
import { isObject } from '../http/failures';
import { readReference } from '../reference';
import { errorClassOf, type ErrorClass } from './errorCodes';
import { instantOf, itemsOf, messageIdOf, numberOf, textOf } from './fields';

/** Why a part of a webhook was passed over: it is none, tells nothing we keep, or is not of ours. */
export type SkipReason = 'unreadable' | 'unknownKind' | 'notOurs';

/** What a status tells of a message; whatever it tells, it proves that the call was accepted. */
const kinds: Readonly<Record<string, EventKind>> = {
  sent: 'processed',
  delivered: 'delivered',
  read: 'opened',
  // Of a voice message: who hears it has opened it.
  played: 'opened',
  failed: 'dropped',
  deleted: 'processed',
  warning: 'processed',
};

/**
 * A status of a message we sent. Without our reference it speaks of its number alone, so it is kept
 * only when that number has to be suppressed.
 */
export function readStatus(status: unknown, receivedAt: Date): MessageEvent | SkipReason {
  if (!isObject(status)) {
    return 'unreadable';
  }
  const id = messageIdOf(status.id);
  const name = textOf(status.status).toLowerCase();
  if (id === null || name === '') {
    return 'unreadable';
  }
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (kind === undefined) {
    return 'unknownKind';
  }
  const error = errorOf(status);
  const reference = readReference(textOf(status.biz_opaque_callback_data));
  const suppress = suppressionOf(numberOf(textOf(status.recipient_id)), errorClassOf(error.code));
  if (reference === null && suppress === null) {
    return 'notOurs';
  }
  return {
    providerEventId: `${id}:${name}`,
    source: 'meta',
    ...(reference ?? noReference),
    kind,
    occurredAt: instantOf(status.timestamp, receivedAt),
    suppress,
    machine: false,
    detail: withoutEmpty({
      status: name,
      providerMessageId: id,
      reason: error.code === null ? '' : String(error.code),
      response: error.text,
      type: 'whatsapp',
    }),
  };
}

/**
 * What a customer chose in WhatsApp itself: no more marketing of this number. That they want it
 * again is passed over, because it takes back nothing that they told us otherwise.
 */
export function readPreference(
  preference: unknown,
  phoneNumberId: string,
  receivedAt: Date,
): MessageEvent | SkipReason {
  const address = isObject(preference) ? numberOf(textOf(preference.wa_id)) : null;
  if (!isObject(preference) || address === null) {
    return 'unreadable';
  }
  if (preference.category !== 'marketing_messages' || preference.value !== 'stop') {
    return 'unknownKind';
  }
  const occurredAt = instantOf(preference.timestamp, receivedAt);
  // The vendor gives it no id, and an id of ours has no number in it.
  const facts = [phoneNumberId, address, textOf(preference.timestamp)];
  const digest = createHash('sha256').update(facts.join(' ')).digest('base64url');
  return {
    providerEventId: `preference:${digest}`,
    source: 'meta',
    ...noReference,
    kind: 'unsubscribed',
    occurredAt,
    suppress: { address, reason: 'unsubscribed', channel: 'whatsapp' },
    machine: false,
    detail: { status: 'stop', type: 'whatsapp' },
  };
}

const noReference = { runId: null, dispatchN: null, attempt: null, messageN: null } as const;

const suppressionReasons: Partial<Record<ErrorClass, SuppressionReason>> = {
  optedOut: 'unsubscribed',
};

function suppressionOf(
  address: string | null,
  errorClass: ErrorClass | null,
): MessageEvent['suppress'] {
  const reason = errorClass === null ? undefined : suppressionReasons[errorClass];
  return reason === undefined || address === null ? null : { address, reason, channel: 'whatsapp' };
}

const maxDetailLength = 1_000;

function errorOf(status: Record<string, unknown>): { code: number | null; text: string } {
  const [error] = itemsOf(status.errors);
  if (!isObject(error)) {
    return { code: null, text: '' };
  }
  const { code, title, message, error_data: data } = error;
  const details = isObject(data) ? textOf(data.details) : '';
  const parts = [textOf(title) || textOf(message), details].filter((part) => part !== '');
  return {
    code: typeof code === 'number' && Number.isInteger(code) ? code : null,
    text: parts.join(': ').slice(0, maxDetailLength),
  };
}

function withoutEmpty(details: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(details).filter(([, text]) => text !== ''));
}
