import type { EmailOutcome, EmailProvider } from '../../providers/email/types';
import type { MessageOutcome, MessageReference } from '../../providers/types';
import type { OneMessage } from './accountSenders';

/** One rendered mail by a vendor whose calls could carry many. */
export async function sendSingle(
  provider: EmailProvider,
  message: Extract<OneMessage, { channel: 'email' }>,
  { runId, dispatchN, attempt, messageN }: MessageReference,
): Promise<MessageOutcome> {
  const outcome = await provider.send({
    from: message.from,
    replyTo: message.replyTo,
    subject: message.subject,
    html: message.html,
    text: message.text,
    reference: { runId, dispatchN, attempt },
    recipients: [
      {
        messageN,
        email: message.to.email,
        name: message.to.name,
        substitutionsJson: '{}',
        unsubscribeUrl: message.unsubscribeUrl,
      },
    ],
  });
  return ofOneMessage(outcome);
}

function ofOneMessage(outcome: EmailOutcome): MessageOutcome {
  switch (outcome.kind) {
    case 'recipientsRefused':
    // Nobody says why: with one recipient that is all there is to know of it.
    case 'refused':
      return {
        kind: 'recipientRefused',
        status: outcome.status,
        reason: outcome.reason,
        consequence: 'none',
      };
    case 'accepted':
    case 'messageRefused':
    case 'throttled':
    case 'notSent':
    case 'inDoubt':
      return outcome;
  }
}
