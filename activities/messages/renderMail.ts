import { randomBytes } from 'node:crypto';
import type { Recipient } from '../../domain/messages/content';
import { renderBatch } from '../../domain/messages/renderBatch';
import type { Recipient as LedgerRecipient } from '../../models/messages/gate';
import type { EmailCall, EmailRecipient } from '../../providers/email/types';
import type { ActivityDeps } from '../deps';
import type { RunMail } from './runMail';

/** A run's mail for the recipients of one dispatch. */
export interface RenderedMail {
  message: Pick<EmailCall, 'subject' | 'html' | 'text'>;
  recipients: EmailRecipient[];
  /** Messages that can't share a call. */
  ownCall: number[];
  /** Messages that can't be rendered. */
  failed: number[];
}

/** Renders the mail for everyone who has an address. */
export function renderMail(
  deps: ActivityDeps,
  mail: RunMail,
  runId: string,
  loaded: LedgerRecipient[],
): RenderedMail {
  const reachable = loaded.filter(
    (one): one is LedgerRecipient & { email: string } => one.email !== null,
  );
  const recipients: Recipient[] = reachable.map((one) => ({
    ...one,
    links: linksOf(deps, runId, one.n),
  }));
  const batch = renderBatch(mail.compiled, recipients, {
    tokenPrefix: randomBytes(6).toString('hex'),
    at: new Date(),
  });
  const rendered: RenderedMail = {
    message: batch.template,
    recipients: [],
    ownCall: batch.singles.flatMap(({ index }) => recipients[index]?.n ?? []),
    failed: batch.failures.flatMap(({ index }) => recipients[index]?.n ?? []),
  };
  for (const [index, one] of reachable.entries()) {
    const substitutionsJson = batch.substitutions[index] ?? null;
    if (substitutionsJson !== null) {
      rendered.recipients.push(toEmailRecipient(one, recipients[index], substitutionsJson));
    }
  }
  const single = batch.singles[0];
  const alone = single === undefined ? undefined : reachable[single.index];
  if (single !== undefined && alone !== undefined && loaded.length === 1) {
    rendered.message = single.message;
    rendered.recipients = [toEmailRecipient(alone, recipients[single.index], '{}')];
  }
  return rendered;
}

function toEmailRecipient(
  one: LedgerRecipient & { email: string },
  recipient: Recipient | undefined,
  substitutionsJson: string,
): EmailRecipient {
  const name = [one.firstName, one.lastName].filter((part) => part !== null).join(' ');
  return {
    messageN: one.n,
    email: one.email,
    name: name === '' ? null : name,
    substitutionsJson,
    unsubscribeUrl: recipient?.links.unsubscribe ?? '',
  };
}

function linksOf(deps: ActivityDeps, runId: string, messageN: number): Recipient['links'] {
  const token = deps.trackingTokens.token({ runId, messageN });
  return {
    click: `${deps.publicUrl}/t/c/${token}`,
    open: `${deps.publicUrl}/t/o/${token}`,
    unsubscribe: `${deps.publicUrl}/t/u/${token}`,
  };
}
