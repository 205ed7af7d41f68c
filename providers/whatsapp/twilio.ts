import type { TwilioAccount } from '../twilio/account';
import { createTwilioMessages, type TwilioMessage } from '../twilio/messages';
import type { WhatsAppContent, WhatsAppProvider, WhatsAppSender } from './types';

/** WhatsApp by Twilio. What its look-up can and cannot prove: `TwilioMessages.lookUp`. */
export function createTwilioWhatsApp(account: TwilioAccount): WhatsAppProvider {
  const messages = createTwilioMessages(account);
  return {
    accountId: account.accountId,
    send: ({ to, sender, content, reference, statusCallbackUrl }) =>
      messages.send({
        to: address(to),
        sender: addressed(sender),
        content: contentOf(content),
        reference,
        statusCallbackUrl,
      }),
    lookUp: ({ to, sender, content, calledAt, knownIds }) =>
      messages.lookUp({
        to: address(to),
        sender: addressed(sender),
        body: textOf(content),
        calledAt,
        knownIds,
      }),
    close: () => messages.close(),
  };
}

function address(number: string): string {
  return `whatsapp:${number}`;
}

function addressed(sender: WhatsAppSender): WhatsAppSender {
  return 'from' in sender ? { from: address(sender.from) } : sender;
}

function contentOf(content: WhatsAppContent): TwilioMessage['content'] {
  switch (content.kind) {
    case 'text':
      return { body: content.body };
    case 'template':
      // Even the template's own text is refused as a body; a content SID names one language.
      return { contentSid: content.id, contentVariables: JSON.stringify(content.variables) };
    case 'media':
      return {
        mediaUrl: [content.url],
        ...(content.caption === null ? {} : { body: content.caption }),
      };
  }
}

function textOf(content: WhatsAppContent): string | null {
  switch (content.kind) {
    case 'text':
      return content.body;
    case 'template':
      return null;
    case 'media':
      return content.caption ?? '';
  }
}
