import { withoutSecrets } from '../../providers/withoutSecrets';
import type { EmailProvider } from '../../providers/email/types';
import type { OpenSender } from './accountSenders';

/** The same sender, whose outcomes repeat none of the account's secrets, whatever the vendor says. */
export function discreetSender(sender: OpenSender, secrets: readonly string[]): OpenSender {
  const clean = <O extends object>(outcome: O): O =>
    'reason' in outcome && typeof outcome.reason === 'string'
      ? { ...outcome, reason: withoutSecrets(outcome.reason, secrets) }
      : outcome;
  const { batch, lookUp, lookUpBatch } = sender;
  return {
    ...sender,
    batch: batch === null ? null : discreetBatch(batch, clean),
    send: (message, reference, leaveByMs) => sender.send(message, reference, leaveByMs).then(clean),
    ...(lookUp === undefined ? {} : { lookUp: async (call) => clean(await lookUp(call)) }),
    ...(lookUpBatch === undefined
      ? {}
      : { lookUpBatch: async (reference) => clean(await lookUpBatch(reference)) }),
  };
}

function discreetBatch(
  batch: EmailProvider,
  clean: <O extends object>(outcome: O) => O,
): EmailProvider {
  return {
    accountId: batch.accountId,
    maxRecipients: batch.maxRecipients,
    draft() {
      const draft = batch.draft();
      return {
        add: (recipient) => draft.add(recipient),
        send: async (message, without) => clean(await draft.send(message, without)),
      };
    },
    send: async (call) => clean(await batch.send(call)),
  };
}
