import { randomBytes } from 'node:crypto';
import type { Recipient } from '../../domain/messages/content';
import { renderBatch } from '../../domain/messages/renderBatch';
import type { Recipient as LedgerRecipient } from '../../models/messages/gate';
import type { EmailCall, EmailDraft } from '../../providers/email/types';
import type { ActivityDeps } from '../deps';
import type { RunMail } from './runMail';

/** A run's mail for the recipients of one dispatch, written into a call that has not left. */
export interface RenderedMail {
  message: Pick<EmailCall, 'subject' | 'html' | 'text'>;
  draft: EmailDraft;
  /** The messages that are in the call. */
  messageNs: number[];
  /** Messages that can't share a call. */
  ownCall: number[];
  /** Messages that can't be rendered. */
  failed: number[];
}

// Few enough that their texts are forgotten young, many enough that the shared part costs nothing.
const renderedTogether = 100;

/** Renders the mail for everyone who has an address. */
export function renderMail(
  deps: ActivityDeps,
  mail: RunMail,
  runId: string,
  loaded: LedgerRecipient[],
): RenderedMail {
  const options = { tokenPrefix: randomBytes(6).toString('hex'), at: new Date() };
  const rendered: RenderedMail = {
    message: renderBatch(mail.compiled, [], options).template,
    draft: deps.email.draft(),
    messageNs: [],
    ownCall: [],
    failed: [],
  };
  for (let from = 0; from < loaded.length; from += renderedTogether) {
    const recipients = loaded
      .slice(from, from + renderedTogether)
      .filter((one): one is Reachable => one.email !== null)
      .map((one) => ({ ...one, links: linksOf(deps, runId, one.n) }));
    const batch = renderBatch(mail.compiled, recipients, options);
    for (const [index, recipient] of recipients.entries()) {
      const substitutionsJson = batch.substitutions[index] ?? null;
      if (substitutionsJson !== null) {
        addTo(rendered, recipient, substitutionsJson);
      }
    }
    for (const { index, message } of batch.singles) {
      const recipient = recipients[index];
      if (recipient !== undefined && loaded.length === 1) {
        rendered.message = message;
        addTo(rendered, recipient, '{}');
      }
      rendered.ownCall.push(...(recipient === undefined ? [] : [recipient.n]));
    }
    rendered.failed.push(...batch.failures.flatMap(({ index }) => recipients[index]?.n ?? []));
  }
  return rendered;
}

type Reachable = LedgerRecipient & { email: string };

function addTo(
  rendered: RenderedMail,
  recipient: Reachable & Pick<Recipient, 'links'>,
  substitutionsJson: string,
): void {
  const { firstName, lastName } = recipient;
  const name =
    firstName !== null && lastName !== null ? `${firstName} ${lastName}` : (firstName ?? lastName);
  rendered.messageNs.push(recipient.n);
  rendered.draft.add({
    messageN: recipient.n,
    email: recipient.email,
    name: name === '' ? null : name,
    substitutionsJson,
    unsubscribeUrl: recipient.links.unsubscribe,
  });
}

function linksOf(deps: ActivityDeps, runId: string, messageN: number): Recipient['links'] {
  const token = deps.trackingTokens.token({ runId, messageN });
  return {
    click: `${deps.publicUrl}/t/c/${token}`,
    open: `${deps.publicUrl}/t/o/${token}`,
    unsubscribe: `${deps.publicUrl}/t/u/${token}`,
  };
}
