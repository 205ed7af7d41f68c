import type { SmsContent } from '../../domain/messages/smsContent';
import type { WhatsAppContent } from '../../domain/messages/whatsAppContent';
import type { ContentVersion } from './ContentVersion';

/** What a campaign says, as a caller writes it. */
export type ContentValues = EmailValues | SmsValues | WhatsAppValues;

export interface EmailValues {
  channel: 'email';
  fromName: string | null;
  fromEmail: string;
  replyTo: string | null;
  subject: string;
  preheader: string | null;
  html: string;
  text: string | null;
  /** The targets of tracked links, by index. */
  links: string[];
}

export interface SmsValues extends SmsContent {
  channel: 'sms';
  /** One of the account's senders; null for its messaging service, or its first one. */
  sender: string | null;
}

export interface WhatsAppValues {
  channel: 'whatsapp';
  /** As with text messages. */
  sender: string | null;
  message: WhatsAppContent;
}

/** The stored row in the form of its channel. */
export function contentValuesOf(row: ContentVersion): ContentValues {
  const { channel, fromEmail, subject, html, sender, message } = row;
  switch (channel) {
    case 'email':
      if (fromEmail === null || subject === null || html === null) {
        throw incomplete(row);
      }
      return {
        channel,
        fromName: row.fromName,
        fromEmail,
        replyTo: row.replyTo,
        subject,
        preheader: row.preheader,
        html,
        text: row.text,
        links: row.links,
      };
    case 'sms':
      if (message === null || 'kind' in message) {
        throw incomplete(row);
      }
      return { channel, sender, body: message.body };
    case 'whatsapp':
      if (message === null || !('kind' in message)) {
        throw incomplete(row);
      }
      return { channel, sender, message };
  }
}

/** The columns that hold the content; which ones is checked by the table itself. */
export function columnsOfContent(content: ContentValues): Partial<ContentVersion> {
  switch (content.channel) {
    case 'email':
      return content;
    case 'sms':
      return {
        channel: content.channel,
        sender: content.sender,
        message: { body: content.body },
      };
    case 'whatsapp':
      return content;
  }
}

// The table's check lets no such row in.
function incomplete({ channel, campaignId, version }: ContentVersion): Error {
  return new Error(`Version ${version} of campaign ${campaignId} is no content for ${channel}`);
}
