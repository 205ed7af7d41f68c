import { compileSms, compileWhatsApp } from './compileText';
import { type StoredContent, compileStored } from './compileStored';
import type { Recipient, RenderedMessage } from './content';
import type { SharedValues } from './engine';
import { renderOne } from './renderOne';
import type { RenderedSms, SmsContent } from './smsContent';
import type { WhatsAppContent } from './whatsAppContent';

/** A campaign's content as it is stored, whatever its channel. */
export type StoredMessage =
  | ({ channel: 'email' } & StoredContent & {
        fromName: string | null;
        fromEmail: string;
        replyTo: string | null;
      })
  | ({ channel: 'sms'; sender: string | null } & SmsContent & SharedValues)
  | ({ channel: 'whatsapp'; sender: string | null; message: WhatsAppContent } & SharedValues);

/** One message as it leaves, but for whom it goes to. */
export type RenderedStored =
  | ({
      channel: 'email';
      from: { email: string; name: string | null };
      replyTo: string | null;
      /** The targets of its tracked links. */
      links: string[];
    } & RenderedMessage)
  | ({ channel: 'sms'; sender: string | null } & RenderedSms)
  | { channel: 'whatsapp'; sender: string | null; message: WhatsAppContent };

/**
 * Renders stored content for one recipient, as a delivery does; for previews and tests, which have
 * one. `isTracked`: whether links of mail are counted, as those of a delivery are.
 *
 * @throws ContentError when it cannot be sent to anybody
 * @throws RenderFailure when it cannot be sent to this recipient
 */
export function renderStored(
  stored: StoredMessage,
  recipient: Recipient,
  { at, isTracked }: { at: Date; isTracked: boolean },
): RenderedStored {
  const { channel } = stored;
  switch (channel) {
    case 'email': {
      const tracking = { trackClicks: isTracked, trackOpens: isTracked };
      const compiled = compileStored(stored, tracking);
      return {
        channel,
        from: { email: stored.fromEmail, name: stored.fromName },
        replyTo: stored.replyTo,
        ...renderOne(compiled, recipient, { at }),
        links: compiled.links,
      };
    }
    case 'sms': {
      const { body } = compileSms(stored, stored).render(recipient, { at });
      return { channel, sender: stored.sender, body };
    }
    case 'whatsapp': {
      const message = compileWhatsApp(stored.message, stored).render(recipient, { at });
      return { channel, sender: stored.sender, message };
    }
  }
}
