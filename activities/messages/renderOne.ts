import { RenderFailure } from '../../domain/messages/content';
import { createWholeRenderer } from '../../domain/messages/renderBatch';
import type { Recipient } from '../../models/messages/recipients';
import type { OneMessage } from './accountSenders';
import { addressed, linksOf, nameOf, type LinkDeps } from './recipient';
import type { RunContent, RunMail, RunTexts } from './runContent';

/**
 * Renders one recipient's message after the other; null for who has no address or makes no message.
 * `at` is what "now" means to date filters.
 */
export function createOneRenderer(
  deps: LinkDeps,
  content: RunContent,
  runId: string,
  at = new Date(),
): (recipient: Recipient) => OneMessage | null {
  return content.channel === 'email'
    ? mailRenderer(deps, content, runId, at)
    : textRenderer(deps, content, runId, at);
}

function mailRenderer(deps: LinkDeps, mail: RunMail, runId: string, at: Date) {
  const render = createWholeRenderer(mail.compiled, { at });
  return (one: Recipient): OneMessage | null => {
    if (one.email === null) {
      return null;
    }
    const recipient = addressed(one, one.email, linksOf(deps, runId, one.n));
    const message = render(recipient);
    return 'failure' in message
      ? null
      : {
          channel: 'email',
          from: mail.from,
          replyTo: mail.replyTo,
          to: { email: one.email, name: nameOf(recipient) },
          subject: message.subject,
          html: message.html,
          text: message.text,
          unsubscribeUrl: recipient.links.unsubscribe,
        };
  };
}

function textRenderer(deps: LinkDeps, texts: RunTexts, runId: string, at: Date) {
  return (one: Recipient): OneMessage | null => {
    if (one.phone === null) {
      return null;
    }
    const recipient = { ...one, links: linksOf(deps, runId, one.n) };
    const to = { to: one.phone, sender: texts.sender };
    try {
      return texts.channel === 'sms'
        ? { channel: 'sms', ...to, body: texts.compiled.render(recipient, { at }).body }
        : { channel: 'whatsapp', ...to, content: texts.compiled.render(recipient, { at }) };
    } catch (error) {
      if (error instanceof RenderFailure) {
        return null;
      }
      throw error;
    }
  };
}
