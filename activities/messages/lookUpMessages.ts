import { withTenant } from '../../models/base';
import { lookUpFacts, type CallToLookUp } from '../../models/messages/doubtsLookUp';
import { loadRecipients, type Recipient } from '../../models/messages/recipients';
import type { LookUp } from '../../providers/types';
import type { RunRef } from '../campaigns/runs';
import type { ActivityDeps } from '../deps';
import type { AccountSender, OneMessage } from './accountSenders';
import { createOneRenderer } from './renderOne';
import { createRunContents, type RunContent } from './runContent';

/** Asks for calls of one message each, the way their vendor can be asked. */
export type AskForMessages = (
  run: RunRef,
  sender: { accountId: string; lookUp: NonNullable<AccountSender['lookUp']> },
  calls: readonly CallToLookUp[],
) => Promise<LookUp[]>;

/**
 * Makes the function that looks up calls by what they said: each message is rendered again from what
 * was frozen with its run. Where customer or account may have changed since, it would be another one,
 * and its absence no proof: then the vendor is not even asked.
 */
export function createAskForMessages(deps: ActivityDeps): AskForMessages {
  const contentOf = createRunContents(deps);
  return async function askForMessages(run, { accountId, lookUp }, calls) {
    const content = await contentOf(run.tenantId, run.runId);
    const facts = await withTenant(deps.db, run.tenantId, (trx) =>
      lookUpFacts(trx, run, { accountId, dispatchNs: calls.map(({ n }) => n) }),
    );
    const factsOf = new Map(facts.map((each) => [each.dispatchN, each]));
    return Promise.all(
      calls.map(async (call): Promise<LookUp> => {
        const known = factsOf.get(call.n);
        if (known?.isUnchanged !== true) {
          return unknown('customer or account may have changed since');
        }
        const message = await renderAgain(deps, { run, content, call });
        if (message === null) {
          return unknown('the message cannot be rendered again');
        }
        const answer = await lookUp({
          message,
          calledAt: call.calledAt,
          knownIds: known.knownIds,
        });
        return answer.kind === 'found' && known.hasRival
          ? unknown('it may be another message in doubt to the same number')
          : answer;
      }),
    );
  };
}

function unknown(reason: string): LookUp {
  return { kind: 'unknown', reason };
}

async function renderAgain(
  deps: ActivityDeps,
  { run, content, call }: { run: RunRef; content: RunContent; call: CallToLookUp },
): Promise<OneMessage | null> {
  const recipients: Recipient[] = [];
  await loadRecipients(
    deps.db,
    { ...run, channel: content.channel, dispatch: call, fields: content.fields },
    (recipient) => void recipients.push(recipient),
  );
  const [recipient, another] = recipients;
  return recipient === undefined || another !== undefined
    ? null
    : createOneRenderer(deps, content, run.runId, call.calledAt)(recipient);
}
