import type { TransactionalContent } from '../../domain/messages/transactional/content';
import { putBack, type ClaimedMessage } from '../../models/transactional/claims';
import { passGate, type PassedMessage } from '../../models/transactional/gate';
import { isOver, type Leave } from '../../models/messages/leave';
import { reserveKept } from '../../models/transactional/rates';
import type { ActivityDeps } from '../deps';
import type { AccountSender, OneMessage } from '../messages/accountSenders';
import { missedTurn } from '../messages/notTaken';
import type { Settler } from './settler';

/** What a lane works with. */
export type LaneDeps = Pick<ActivityDeps, 'db' | 'logger' | 'leaseMs'> & {
  /** What makes the calls of a message's account; null when nothing may leave by it. */
  openAccount(message: ClaimedMessage): Promise<AccountSender | null>;
};

/** What became of messages. */
export interface SentMessages {
  /** Calls that were made, whatever came of them. */
  calls: number;
  accepted: number;
}

const nothing: SentMessages = { calls: 0, accepted: 0 };

// An account that was switched off, removed, or whose credentials cannot be read: somebody has to look.
const unusableForMs = 30_000;

/**
 * Takes claimed messages as far as they go now: to their settled calls, or back to planned. Those of
 * accounts without limits go together, those of each other account with the room it has. `onSettled`
 * is told of each call that is over.
 */
export async function sendClaimed(
  deps: LaneDeps,
  claimed: readonly ClaimedMessage[],
  { settler, onSettled }: { settler: Settler; onSettled: (message: ClaimedMessage) => void },
): Promise<SentMessages> {
  const groups = new Map<string, ClaimedMessage[]>();
  for (const message of claimed) {
    const key = message.isCounted ? (message.accountId ?? '') : '';
    groups.set(key, [...(groups.get(key) ?? []), message]);
  }
  const sent = await Promise.all(
    [...groups].map(([accountId, messages]) =>
      accountId === ''
        ? callAll(deps, { messages, leave: null, settler, onSettled })
        : callWithinLimits(deps, { accountId, messages, settler, onSettled }),
    ),
  );
  return {
    calls: sent.reduce((sum, each) => sum + each.calls, 0),
    accepted: sent.reduce((sum, each) => sum + each.accepted, 0),
  };
}

async function callWithinLimits(
  deps: LaneDeps,
  work: Omit<CallWork, 'leave'> & { accountId: string },
): Promise<SentMessages> {
  const { accountId, messages } = work;
  const rate = await reserveKept(deps.db, accountId, messages.length);
  if (rate.kind === 'wait') {
    await putBack(deps.db, { messages, wait: rate });
    return nothing;
  }
  if (rate.kind === 'unlimited') {
    return callAll(deps, { ...work, leave: null });
  }
  const later = messages.slice(rate.calls);
  const [sent] = await Promise.all([
    callAll(deps, {
      ...work,
      messages: messages.slice(0, rate.calls),
      leave: rate.leave,
    }),
    later.length === 0 ? undefined : putBack(deps.db, { messages: later, wait: null }),
  ]);
  return sent;
}

interface CallWork {
  messages: readonly ClaimedMessage[];
  /** Null where nobody counts the calls. */
  leave: Leave | null;
  settler: Settler;
  onSettled: (message: ClaimedMessage) => void;
}

async function callAll(deps: LaneDeps, work: CallWork): Promise<SentMessages> {
  const { leave } = work;
  const senders = await sendersOf(deps, work.messages);
  const unusable = work.messages.filter((message) => !senders.has(senderKey(message)));
  if (unusable.length > 0) {
    const until = new Date(Date.now() + unusableForMs);
    await putBack(deps.db, { messages: unusable, wait: { until, reason: 'accountUnusable' } });
  }
  const ready = new Map(
    work.messages
      .filter((message) => senders.has(senderKey(message)))
      .map((message) => [messageKey(message), message]),
  );
  if (ready.size === 0) {
    return nothing;
  }
  const passed = await passGate(
    deps.db,
    [...ready.values()].map((message) => ({ ...message, leaveBefore: leave?.before ?? null })),
    deps.leaseMs,
  );
  const outcomes = await Promise.all(
    passed.map(async (message) => {
      const asked = ready.get(messageKey(message));
      const sender = asked === undefined ? undefined : senders.get(senderKey(asked));
      if (asked === undefined || asked.content === null || sender === undefined) {
        throw new Error('a message passed the gate that was not asked for');
      }
      const { runId, n, attempt } = message;
      const reference = { runId, messageN: n, dispatchN: n, attempt };
      const written = toSend(asked.content, message);
      const outcome = isOver(leave)
        ? missedTurn
        : await sender.send(written, reference, leave?.beforeMs);
      await work.settler.settle({ message, accountId: sender.accountId, outcome });
      work.onSettled(asked);
      return outcome;
    }),
  );
  return {
    calls: outcomes.filter((outcome) => outcome !== missedTurn).length,
    accepted: outcomes.filter(({ kind }) => kind === 'accepted').length,
  };
}

/** The accounts of these messages, without those that nothing can leave by now. */
async function sendersOf(
  deps: LaneDeps,
  messages: readonly ClaimedMessage[],
): Promise<Map<string, AccountSender>> {
  const keys = new Map(messages.map((message) => [senderKey(message), message]));
  const found = await Promise.all(
    [...keys].map(async ([key, message]) => {
      try {
        const sender = await deps.openAccount(message);
        return sender === null ? null : ([key, sender] as const);
      } catch (error) {
        const { accountId } = message;
        deps.logger.warn({ err: error, accountId }, 'an account could not be opened');
        return null;
      }
    }),
  );
  return new Map(found.filter((each) => each !== null));
}

function senderKey({ tenantId, accountId }: ClaimedMessage): string {
  return `${tenantId} ${accountId}`;
}

function messageKey({ runId, n }: { runId: string; n: number }): string {
  return `${runId} ${n}`;
}

function toSend(content: TransactionalContent, to: PassedMessage): OneMessage {
  switch (content.channel) {
    case 'email': {
      const { toName, ...mail } = content;
      const own = [to.firstName, to.lastName].filter((part) => part !== null).join(' ');
      const name = toName ?? (own === '' ? null : own);
      return {
        ...mail,
        to: { email: to.address, name },
        unsubscribeUrl: null,
      };
    }
    case 'sms':
    case 'whatsapp':
      return { ...content, to: to.address };
  }
}
