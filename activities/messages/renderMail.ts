import { randomBytes } from 'node:crypto';
import { setImmediate as otherEvents } from 'node:timers/promises';
import type { Recipient } from '../../domain/messages/content';
import { type RenderedBatch, createBatchRenderer } from '../../domain/messages/renderBatch';
import type { Recipient as LedgerRecipient } from '../../models/messages/gate';
import type { EmailCall, EmailDraft } from '../../providers/email/types';
import type { ActivityDeps } from '../deps';
import { createLimiter } from './limiter';
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

// A content may cost 20 ms a recipient, and twice that where a message is too large for a shared
// call: few of them are rendered together. Plain content is done in larger steps, which saves it a
// third of its cost.
const renderedTogether = { dear: 5, plain: 25 } as const;
const plainStepMs = 1;
// Heartbeats and leases must not wait for longer than this and what is rendered together.
const turnMs = 25;

// One turn of the event loop renders for one dispatch: they take their turns one after the other.
const turns = createLimiter(1);

/** The parts of the process that rendering needs. */
export type RenderDeps = Pick<ActivityDeps, 'email' | 'trackingTokens' | 'publicUrl'>;

/**
 * Renders the mail for everyone who has an address, and lets other work of the process go on
 * meanwhile. When the signal asks to stop, it resolves with what is rendered by then.
 */
export async function renderMail(
  deps: RenderDeps,
  {
    mail,
    runId,
    loaded,
    signal,
  }: { mail: RunMail; runId: string; loaded: LedgerRecipient[]; signal: AbortSignal },
): Promise<RenderedMail> {
  const renderBatch = createBatchRenderer(mail.compiled, {
    tokenPrefix: randomBytes(6).toString('hex'),
    at: new Date(),
  });
  const rendered: RenderedMail = {
    message: renderBatch([]).template,
    draft: deps.email.draft(),
    messageNs: [],
    ownCall: [],
    failed: [],
  };
  let from = 0;
  let together: number = renderedTogether.dear;
  const renderNext = (): void => {
    const startedAtMs = performance.now();
    const recipients: Addressed[] = [];
    const end = Math.min(from + together, loaded.length);
    for (; from < end; from += 1) {
      const one = loaded[from];
      if (one !== undefined && one.email !== null) {
        recipients.push(withLinks(one, one.email, linksOf(deps, runId, one.n)));
      }
    }
    const batch = renderBatch(recipients);
    addBatch(rendered, recipients, batch, loaded.length === 1);
    const isPlain = performance.now() - startedAtMs < plainStepMs;
    together = isPlain ? renderedTogether.plain : renderedTogether.dear;
  };
  while (from < loaded.length && !signal.aborted) {
    await turns(async () => {
      const endsAtMs = performance.now() + turnMs;
      while (from < loaded.length && performance.now() < endsAtMs) {
        renderNext();
      }
      if (performance.now() >= endsAtMs) {
        await otherEvents();
      }
    });
  }
  return rendered;
}

type Addressed = Recipient & { email: string };

// Spelled out: a spread of as many properties costs as much as rendering them.
function withLinks(one: LedgerRecipient, email: string, links: Recipient['links']): Addressed {
  return {
    n: one.n,
    email,
    firstName: one.firstName,
    lastName: one.lastName,
    phone: one.phone,
    language: one.language,
    timeZone: one.timeZone,
    externalId: one.externalId,
    tags: one.tags,
    attributes: one.attributes,
    links,
  };
}

function addBatch(
  rendered: RenderedMail,
  recipients: Addressed[],
  batch: RenderedBatch,
  isAlone: boolean,
): void {
  for (const [index, recipient] of recipients.entries()) {
    const substitutionsJson = batch.substitutions[index] ?? null;
    if (substitutionsJson !== null) {
      addTo(rendered, recipient, substitutionsJson);
    }
  }
  for (const { index, message } of batch.singles) {
    const recipient = recipients[index];
    if (recipient !== undefined && isAlone) {
      rendered.message = message;
      addTo(rendered, recipient, '{}');
    }
    rendered.ownCall.push(...(recipient === undefined ? [] : [recipient.n]));
  }
  rendered.failed.push(...batch.failures.flatMap(({ index }) => recipients[index]?.n ?? []));
}

function addTo(rendered: RenderedMail, recipient: Addressed, substitutionsJson: string): void {
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

function linksOf(deps: RenderDeps, runId: string, messageN: number): Recipient['links'] {
  const token = deps.trackingTokens.token({ runId, messageN });
  return {
    click: `${deps.publicUrl}/t/c/${token}`,
    open: `${deps.publicUrl}/t/o/${token}`,
    unsubscribe: `${deps.publicUrl}/t/u/${token}`,
  };
}
