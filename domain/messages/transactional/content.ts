import type { Channel } from '../../campaigns/types';
import type { suppressionReasons } from '../../customers/types';
import type { WhatsAppContent } from '../whatsAppContent';

/** What a message says, rendered; whom it goes to is looked up when it leaves. */
export type TransactionalContent =
  | {
      channel: 'email';
      from: { email: string; name: string | null };
      /** As it was given; a customer has one of their own. */
      toName: string | null;
      replyTo: string | null;
      subject: string;
      html: string;
      text: string;
    }
  | { channel: 'sms'; sender: string | null; body: string }
  | { channel: 'whatsapp'; sender: string | null; content: WhatsAppContent };

type SuppressionReason = (typeof suppressionReasons)[number];

/**
 * Suppressions that are about marketing alone, so that a message somebody waits for still leaves. On
 * phones there are none: who answers STOP wants nothing more, and carriers see to it.
 */
export const marketingSuppressions: Readonly<Record<Channel, readonly SuppressionReason[]>> = {
  email: ['unsubscribed'],
  sms: [],
  whatsapp: [],
};
