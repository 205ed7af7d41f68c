import { randomBytes } from 'node:crypto';
import { setImmediate as otherEvents } from 'node:timers/promises';
import { isPlainText } from '../../domain/messages/plainText';
import { createBatchRenderer } from '../../domain/messages/renderBatch';
import type {
  LoadedAddresses,
  Recipient as LedgerRecipient,
} from '../../models/messages/recipients';
import type { EmailCall, EmailDraft } from '../../providers/email/types';
import { createLimiter } from './limiter';
import { addressed, linkStarts, linksTo, nameOf, type Addressed, type LinkDeps } from './recipient';
import type { RunMail } from './runContent';

/** A run's mail for the recipients of one dispatch, written into a call that has not left. */
export interface RenderedMail {
  message: Pick<EmailCall, 'subject' | 'html' | 'text'>;
  draft: EmailDraft;
  /** Whom it was rendered for: all messages, and the sum of their addresses' hashes. */
  loaded: { ns: number[]; addresses: number };
  /** The messages that are in the call. */
  messageNs: number[];
  /** Messages that can't share a call. */
  ownCall: number[];
  /** Messages that can't be rendered. */
  failed: number[];
}

// A content may cost 20 ms a recipient, and twice that where a message is too large for a shared
// call. Heartbeats and leases must not wait for longer than this and one of them.
const turnMs = 25;

// One turn of the event loop renders for one dispatch: they take their turns one after the other.
const turns = createLimiter(1);

/** The mail of one dispatch while its recipients arrive. */
export interface MailRendering {
  /** Writes a recipient into the call at once if that is cheap: nothing of them is kept then. */
  add(recipient: LedgerRecipient): void;
  /**
   * Renders for the others and lets other work of the process go on meanwhile. When the signal asks
   * to stop, it resolves with what is rendered by then. `loaded` is what loading them answered.
   */
  finish(loaded: LoadedAddresses, signal: AbortSignal): Promise<RenderedMail>;
}

export function startRendering(
  deps: LinkDeps,
  { mail, runId, draft }: { mail: RunMail; runId: string; draft: EmailDraft },
): MailRendering {
  const starts = linkStarts(deps);
  const renderer = createBatchRenderer(mail.compiled, {
    tokenPrefix: randomBytes(6).toString('hex'),
    at: new Date(),
    linkStarts: starts,
  });
  const rendered: RenderedMail = {
    message: renderer.template,
    draft,
    loaded: { ns: [], addresses: 0 },
    messageNs: [],
    ownCall: [],
    failed: [],
  };
  const others: Addressed[] = [];
  const isLinkPlain = isPlainText(starts.unsubscribe);

  function addTo(recipient: Addressed, substitutionsJson: string): void {
    rendered.messageNs.push(recipient.n);
    draft.add({
      messageN: recipient.n,
      email: recipient.email,
      name: nameOf(recipient),
      substitutionsJson,
      unsubscribeUrl: recipient.links.unsubscribe,
      isPlain: isLinkPlain && recipient.isPlain === true,
    });
  }

  function renderOther(recipient: Addressed): void {
    const one = renderer.renderAny(recipient);
    if (typeof one === 'string') {
      addTo(recipient, one);
    } else if ('failure' in one) {
      rendered.failed.push(recipient.n);
    } else {
      if (rendered.loaded.ns.length === 1) {
        rendered.message = one.single;
        addTo(recipient, '{}');
      }
      rendered.ownCall.push(recipient.n);
    }
  }

  return {
    add(one) {
      rendered.loaded.ns.push(one.n);
      if (one.email === null) {
        return;
      }
      const token = deps.trackingTokens.token({ runId, messageN: one.n });
      const recipient = addressed(one, one.email, linksTo(starts, token));
      const json = renderer.renderPlain(recipient, token);
      if (json === null) {
        others.push(recipient);
      } else {
        addTo(recipient, json);
      }
    },

    async finish({ addresses }, signal) {
      rendered.loaded.addresses = addresses;
      const waiting = others.values();
      let next = waiting.next();
      while (next.done !== true && !signal.aborted) {
        await turns(async () => {
          const endsAtMs = performance.now() + turnMs;
          while (next.done !== true && performance.now() < endsAtMs) {
            renderOther(next.value);
            next = waiting.next();
          }
          if (next.done !== true) {
            await otherEvents();
          }
        });
      }
      return rendered;
    },
  };
}
