import type { z } from 'zod';
import type { ChangeCampaign } from '../../domain/campaigns/schema';
import type { Channel } from '../../domain/campaigns/types';
import { normalizePhone } from '../../domain/customers/phone';
import { invalid, invalidField } from '../../domain/errors';
import type { ContentValues } from '../../models/campaigns/contentValues';
import { checkedContent } from './checkedContent';

type Change = NonNullable<z.output<typeof ChangeCampaign>['content']>;

/**
 * Content after a change of its parts.
 *
 * @throws invalid when a part is of another channel, or the whole cannot be sent
 */
export function changedContent(stored: ContentValues, change: Change): ContentValues {
  refuseOtherChannels(stored.channel, change);
  switch (stored.channel) {
    case 'email':
      return checkedContent({
        channel: 'email',
        fromName: orStored(change.fromName, stored.fromName),
        fromEmail: change.fromEmail ?? stored.fromEmail,
        replyTo: orStored(change.replyTo, stored.replyTo),
        subject: change.subject ?? stored.subject,
        preheader: orStored(change.preheader, stored.preheader),
        html: change.html ?? stored.html,
        text: orStored(change.text, stored.text),
      });
    case 'sms':
      return checkedContent({
        channel: 'sms',
        sender: orStored(change.sender, stored.sender),
        body: change.body ?? stored.body,
      });
    case 'whatsapp':
      requireNumber(change.sender);
      return checkedContent({
        channel: 'whatsapp',
        sender: orStored(change.sender, stored.sender),
        message: change.message ?? stored.message,
      });
  }
}

const partsOf: Record<Channel, ReadonlySet<string>> = {
  email: new Set([
    'fromName',
    'fromEmail',
    'replyTo',
    'subject',
    'preheader',
    'html',
    'text',
  ] satisfies (keyof Change)[]),
  sms: new Set(['sender', 'body'] satisfies (keyof Change)[]),
  whatsapp: new Set(['sender', 'message'] satisfies (keyof Change)[]),
};

function refuseOtherChannels(channel: Channel, change: Change): void {
  const strangers = Object.entries(change)
    .filter(([part, value]) => value !== undefined && !partsOf[channel].has(part))
    .map(([part]) => part);
  if (strangers.length > 0) {
    throw invalid(
      strangers.map((part) => ({
        path: `content.${part}`,
        code: 'unknownField',
        message: `Is not a field of a campaign by ${channel}.`,
      })),
    );
  }
}

function requireNumber(sender: string | null | undefined): void {
  if (sender != null && normalizePhone(sender) === null) {
    throw invalidField('content.sender', 'wrongPhone', 'Is not a phone number in E.164.');
  }
}

function orStored<T>(given: T | undefined, stored: T): T {
  return given === undefined ? stored : given;
}
