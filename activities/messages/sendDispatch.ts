import { randomBytes } from 'node:crypto';
import type { Recipient } from '../../domain/messages/content';
import { renderBatch } from '../../domain/messages/renderBatch';
import { withTenant } from '../../models/base';
import { setGate } from '../../models/campaigns/runs';
import { unclaimDispatch, type ClaimedDispatch, type WaveKey } from '../../models/messages/claims';
import {
  GateShut,
  loadRecipients,
  passGate,
  type GateAnswer,
  type Recipient as LedgerRecipient,
} from '../../models/messages/gate';
import { blockAccount, reserveRate } from '../../models/messages/rates';
import {
  setAsideRecipients,
  settleCall,
  splitDispatch,
  type Call,
} from '../../models/messages/settle';
import { splitOffMessages } from '../../models/messages/splitOff';
import type { EmailCall, EmailOutcome, EmailRecipient } from '../../providers/email/types';
import type { ActivityDeps } from '../deps';
import { outlastOutage } from './outlastOutage';
import type { RunMail } from './runMail';
import { waitMs } from './wait';

/** What became of messages; `dispatches` counts calls. */
export interface SentCounts {
  dispatches: number;
  accepted: number;
  refused: number;
  leftOut: number;
  inDoubt: number;
}

const nothing: SentCounts = { dispatches: 0, accepted: 0, refused: 0, leftOut: 0, inDoubt: 0 };
const systemActor = { kind: 'system', id: null } as const;

/** Takes one claimed dispatch as far as it goes now: to its settled call, or back to planned. */
export async function sendDispatch(
  deps: ActivityDeps,
  work: { wave: WaveKey; dispatch: ClaimedDispatch; mail: RunMail; signal: AbortSignal },
): Promise<SentCounts> {
  const { wave, dispatch } = work;
  const { tenantId, runId } = wave;
  const giveBack = (wait: { notBefore: Date; reason: string } | null) =>
    withTenant(deps.db, tenantId, (trx) => unclaimDispatch(trx, tenantId, runId, dispatch, wait));

  const rate = await withTenant(deps.db, tenantId, (trx) =>
    reserveRate(trx, deps.email.accountId, dispatch.messageCount),
  );
  if (rate.kind === 'wait') {
    await giveBack({ notBefore: rate.until, reason: rate.reason });
    return nothing;
  }
  if (rate.waitMs > 0) {
    await waitMs(rate.waitMs, work.signal);
  }

  const loaded = await withTenant(deps.db, tenantId, (trx) =>
    loadRecipients(trx, tenantId, runId, dispatch),
  );
  const rendered = renderMail(deps, work.mail, runId, loaded);
  if (rendered.ownCall.length > 0 && dispatch.messageCount > 1) {
    await withTenant(deps.db, tenantId, (trx) =>
      splitOffMessages(trx, tenantId, runId, dispatch, rendered.ownCall),
    );
    await giveBack(null);
    return nothing;
  }
  if (work.signal.aborted) {
    await giveBack(null);
    return nothing;
  }

  const gate = await throughGate(deps, wave, dispatch, loaded, rendered.failed);
  if (gate.kind === 'shut') {
    await giveBack(null);
    return nothing;
  }
  if (gate.kind === 'empty') {
    return { ...nothing, leftOut: dispatch.messageCount };
  }
  const recipients = rendered.recipients.filter((one) => !gate.leftOut.has(one.messageN));
  const outcome = await deps.email.send({
    ...rendered.message,
    from: work.mail.from,
    replyTo: work.mail.replyTo,
    recipients,
    reference: { runId, dispatchN: dispatch.n, attempt: gate.attempt },
  });
  const call = { tenantId, runId, dispatchN: dispatch.n, attempt: gate.attempt };
  await outlastOutage(work.signal, () => settle(deps, call, outcome));
  return countOutcome(outcome, recipients.length, gate.leftOut.size);
}

interface RenderedMail {
  message: Pick<EmailCall, 'subject' | 'html' | 'text'>;
  recipients: EmailRecipient[];
  /** Messages that can't share a call. */
  ownCall: number[];
  /** Messages that can't be rendered. */
  failed: number[];
}

function renderMail(
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

async function throughGate(
  deps: ActivityDeps,
  wave: WaveKey,
  dispatch: ClaimedDispatch,
  loaded: LedgerRecipient[],
  notRendered: number[],
): Promise<GateAnswer> {
  try {
    return await withTenant(deps.db, wave.tenantId, (trx) =>
      passGate(trx, {
        tenantId: wave.tenantId,
        runId: wave.runId,
        channel: 'email',
        dispatch,
        leaseMs: deps.leaseMs,
        loaded,
        notRendered,
      }),
    );
  } catch (error) {
    if (error instanceof GateShut) {
      return { kind: 'shut' };
    }
    throw error;
  }
}

/** Writes what the provider's outcome makes of the dispatch, the account and the run. */
function settle(deps: ActivityDeps, call: Call, outcome: EmailOutcome): Promise<void> {
  return withTenant(deps.db, call.tenantId, async (trx) => {
    switch (outcome.kind) {
      case 'accepted':
        await settleCall(trx, call, { ...outcome, outcome: 'accepted' });
        return;
      case 'recipientsRefused':
        await setAsideRecipients(trx, call, outcome);
        return;
      case 'messageRefused':
        await settleCall(trx, call, { ...outcome, outcome: 'not_sent', delayMs: 0 });
        await holdRun(trx, call, outcome.reason);
        return;
      case 'refused':
        if ((await splitDispatch(trx, call, outcome)) === 'ofTheWholeMessage') {
          await holdRun(trx, call, outcome.reason);
        }
        return;
      case 'throttled':
      case 'notSent': {
        const reason = outcome.kind === 'throttled' ? 'providerThrottled' : 'providerUnreachable';
        await settleCall(trx, call, {
          outcome: outcome.kind === 'throttled' ? 'throttled' : 'not_sent',
          status: outcome.status,
          reason,
          delayMs: outcome.retryAfterMs,
        });
        await blockAccount(trx, deps.email.accountId, { forMs: outcome.retryAfterMs, reason });
        return;
      }
      case 'inDoubt':
        await settleCall(trx, call, { ...outcome, outcome: 'in_doubt' });
    }
  });
}

function holdRun(trx: Parameters<typeof setGate>[0], call: Call, reason: string): Promise<unknown> {
  return setGate(trx, {
    tenantId: call.tenantId,
    runId: call.runId,
    gate: 'paused',
    reason: `The provider refused the message: ${reason}`,
    actor: systemActor,
  });
}

function countOutcome(outcome: EmailOutcome, messages: number, leftOut: number): SentCounts {
  return {
    dispatches: 1,
    leftOut,
    accepted: outcome.kind === 'accepted' ? messages : 0,
    refused: outcome.kind === 'recipientsRefused' ? outcome.messageNs.length : 0,
    inDoubt: outcome.kind === 'inDoubt' ? messages : 0,
  };
}
