import type { MessageEvent } from '../../domain/messages/events';
import { isObject } from '../http/failures';
import type { InboundMessage } from '../types';
import { itemsOf, numberOf, textOf } from './fields';
import { readInbound } from './inbound';
import { readPreference, readStatus, type SkipReason } from './statuses';

/** What a webhook tells of one of our numbers. */
export interface NumberDelivery {
  /** The vendor's id of the number: whoever takes this in has to know whose account it is. */
  phoneNumberId: string;
  events: MessageEvent[];
  inbound: InboundMessage[];
}

export interface MetaDelivery {
  /** Each number once, in the order of the body: one webhook serves all numbers of an app. */
  numbers: NumberDelivery[];
  skipped: Record<SkipReason, number>;
}

/**
 * A webhook's parsed body in our words. The same status of the same message is the same event,
 * however often it comes. What cannot be read is counted and gets in the way of nothing else.
 */
export function readMetaWebhook(body: unknown, receivedAt: Date): MetaDelivery {
  const skipped = { unreadable: 0, unknownKind: 0, notOurs: 0 };
  const numbers = new Map<string, NumberDelivery>();
  if (!isObject(body) || !Array.isArray(body.entry)) {
    skipped.unreadable += 1;
  } else if (body.object !== 'whatsapp_business_account') {
    skipped.unknownKind += 1;
  } else {
    for (const change of itemsOf(body.entry).flatMap(changesOf)) {
      readChange(change);
    }
  }
  return { numbers: [...numbers.values()], skipped };

  function readChange(change: unknown): void {
    if (!isObject(change) || !isObject(change.value)) {
      skipped.unreadable += 1;
      return;
    }
    if (change.field !== 'messages' && change.field !== 'user_preferences') {
      skipped.unknownKind += 1;
      return;
    }
    const { metadata, statuses, user_preferences: preferences, messages, errors } = change.value;
    const delivery = deliveryTo(metadata);
    if (delivery === null) {
      skipped.unreadable += 1;
      return;
    }
    const { phoneNumberId, events, inbound } = delivery;
    for (const status of itemsOf(statuses)) {
      keep(events, readStatus(status, receivedAt));
    }
    for (const preference of itemsOf(preferences)) {
      keep(events, readPreference(preference, phoneNumberId, receivedAt));
    }
    const to = isObject(metadata) ? numberOf(textOf(metadata.display_phone_number)) : null;
    for (const message of itemsOf(messages)) {
      keep(inbound, readInbound(message, to, receivedAt));
    }
    // Of the account as a whole, for people who look into the vendor's own console.
    skipped.unknownKind += itemsOf(errors).length;
  }

  function deliveryTo(metadata: unknown): NumberDelivery | null {
    const phoneNumberId = isObject(metadata) ? textOf(metadata.phone_number_id) : '';
    if (!/^\d{5,20}$/.test(phoneNumberId)) {
      return null;
    }
    const delivery = numbers.get(phoneNumberId) ?? { phoneNumberId, events: [], inbound: [] };
    numbers.set(phoneNumberId, delivery);
    return delivery;
  }

  function keep<Item extends object>(list: Item[], item: Item | SkipReason): void {
    if (typeof item === 'string') {
      skipped[item] += 1;
    } else {
      list.push(item);
    }
  }
}

function changesOf(entry: unknown): unknown[] {
  // An entry without changes is as unreadable as a change without a value.
  return isObject(entry) && Array.isArray(entry.changes) ? itemsOf(entry.changes) : [null];
}
