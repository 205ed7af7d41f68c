import { optOutWish } from '../../domain/messages/optOut';
import { isObject } from '../http/failures';
import type { InboundMessage } from '../types';
import { instantOf, messageIdOf, numberOf, textOf } from './fields';
import type { SkipReason } from './statuses';

/** A customer's message; `to` is the number of ours that it was written to. */
export function readInbound(
  message: unknown,
  to: string | null,
  receivedAt: Date,
): InboundMessage | SkipReason {
  if (!isObject(message)) {
    return 'unreadable';
  }
  // Who hides their number behind a name is known by an id instead.
  const from = numberOf(textOf(message.from)) ?? messageIdOf(message.from_user_id);
  const providerMessageId = messageIdOf(message.id);
  if (from === null || to === null || providerMessageId === null) {
    return 'unreadable';
  }
  // The vendor's own, e.g. that a customer has another number now: nobody wrote.
  if (message.type === 'system') {
    return 'unknownKind';
  }
  const said = wordsOf(message);
  return {
    channel: 'whatsapp',
    providerMessageId,
    from,
    to,
    body: said.text,
    media: mediaOf(message),
    writtenAt: instantOf(message.timestamp, receivedAt),
    // Buttons of other languages call a stop by its English word; other words of theirs mean their own.
    optOut: optOutWish(said.payload) === 'stop' ? 'stop' : optOutWish(said.text),
  };
}

/** What was written or chosen; a button also has what its maker calls it. */
function wordsOf(message: Record<string, unknown>): { text: string; payload: string } {
  const { text, button, interactive } = message;
  if (isObject(text)) {
    return { text: textOf(text.body), payload: '' };
  }
  if (isObject(button)) {
    return { text: textOf(button.text), payload: textOf(button.payload) };
  }
  if (isObject(interactive)) {
    const chosen = interactive.button_reply ?? interactive.list_reply;
    return isObject(chosen)
      ? { text: textOf(chosen.title), payload: textOf(chosen.id) }
      : { text: '', payload: '' };
  }
  const media = mediaPart(message);
  return { text: textOf(media?.caption), payload: '' };
}

const mediaTypes = ['image', 'video', 'audio', 'document', 'sticker'] as const;

function mediaPart(message: Record<string, unknown>): Record<string, unknown> | null {
  for (const type of mediaTypes) {
    const part = message[type];
    if (message.type === type && isObject(part)) {
      return part;
    }
  }
  return null;
}

function mediaOf(message: Record<string, unknown>): InboundMessage['media'] {
  const part = mediaPart(message);
  const id = messageIdOf(part?.id);
  return id === null ? [] : [{ id, type: textOf(part?.mime_type) }];
}
