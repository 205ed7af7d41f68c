import { notFound } from '../../domain/errors';
import type { Channel } from '../../domain/campaigns/types';
import type { Sender, Vendor } from '../../domain/messages/accounts/types';
import type { Knex } from '../../lib/db';
import type { Sealing } from '../../lib/sealing';
import { acrossTenants, withTenant } from '../../models/base';
import { openAccount } from '../../models/messages/accountCredentials';
import { ProviderAccount } from '../../models/messages/ProviderAccount';
import { UsableAccount } from '../../models/messages/UsableAccount';
import type { EmailCall, EmailProvider } from '../../providers/email/types';
import type { LookUp, MessageOutcome, MessageReference } from '../../providers/types';
import type { WhatsAppContent } from '../../providers/whatsapp/types';
import { createSender } from './createSender';
import type { Limiter } from './limiter';

/** One rendered message of a channel, for one person. `sender` null: the account's first one. */
export type OneMessage =
  | {
      channel: 'email';
      from: { email: string; name: string | null };
      replyTo: string | null;
      to: { email: string; name: string | null };
      subject: string;
      html: string;
      text: string;
      unsubscribeUrl: string | null;
    }
  | { channel: 'sms'; to: string; sender: string | null; body: string }
  | { channel: 'whatsapp'; to: string; sender: string | null; content: WhatsAppContent };

/** What a call that is in doubt was, as far as the vendor can be asked for it. */
export interface CallInDoubt {
  message: OneMessage;
  calledAt: Date;
  /** The vendor's ids of messages that are known to belong to other calls. */
  knownIds: readonly string[];
}

/** An account as calls are made for it. */
export interface AccountSender {
  accountId: string;
  channel: Channel;
  vendor: Vendor;
  senders: readonly Sender[];
  /** Calls of a block, at most: enough to hide their waiting. */
  mostInBlock: number;
  /**
   * Lets as many blocks of calls through as the account's connections carry in good time; more while
   * connections are idle, of those that wait for no limit.
   */
  inTurn: Limiter;
  /** Dispatches of single calls that a process holds of each run: enough for the turns to be taken. */
  mostInHand: number;
  /** Switched off by its owner: nothing may leave by it. */
  isActive: boolean;
  /** Where one call carries many messages; null where each message is a call. */
  batch: EmailProvider | null;
  /**
   * One call for one message, made at most once, and not made when a connection is free for it only at
   * `leaveByMs` of `performance.now()` or after. It never throws for what a vendor may answer.
   */
  send(
    message: OneMessage,
    reference: MessageReference,
    leaveByMs?: number,
  ): Promise<MessageOutcome>;
  /** Asks the vendor for the message of a call in doubt, where it can be asked. */
  lookUp?: (call: CallInDoubt) => Promise<LookUp>;
  /** The same for a call of many messages, which the vendor knows by our reference. */
  lookUpBatch?: (reference: EmailCall['reference']) => Promise<LookUp>;
}

export interface AccountSenders {
  /**
   * The account as it is stored now, its connections shared by all who ask in this process.
   *
   * @throws notFound when it is neither the tenant's nor the platform's
   */
  of(tenantId: string, accountId: string): Promise<AccountSender>;
  /** Lets what is under way finish and ends all connections. */
  close(): Promise<void>;
}

export interface SenderOptions {
  db: Knex;
  sealing: Sealing;
  /** A call without an answer after this is in doubt. */
  timeoutMs: number;
  /** Where vendors report to, without a trailing slash. */
  publicUrl: string;
  /** Connect to no address of our own network, whatever name a tenant gives. */
  onlyPublic: boolean;
}

/** What makes the calls of an account; `close` waits for those that are under way. */
export type OpenSender = Pick<
  AccountSender,
  'batch' | 'mostInBlock' | 'inTurn' | 'mostInHand' | 'send' | 'lookUp' | 'lookUpBatch'
> & {
  close(): Promise<void>;
};

// Well above what an activity may take.
const longestSliceMs = 10 * 60_000;

/** Opens accounts as they are asked for and keeps them until their credentials or settings change. */
export function createAccountSenders(options: SenderOptions): AccountSenders {
  const open = new Map<string, { version: number; sender: OpenSender }>();
  const opening = new Map<string, Promise<OpenSender>>();
  return {
    async of(tenantId, accountId) {
      const account = await load(options.db, tenantId, accountId);
      const kept = open.get(accountId);
      const sender = kept?.version === account.version ? kept.sender : await openOnce(account);
      return {
        accountId,
        channel: account.channel,
        vendor: account.vendor,
        senders: account.senders,
        isActive: account.active,
        batch: sender.batch,
        mostInBlock: sender.mostInBlock,
        inTurn: sender.inTurn,
        mostInHand: sender.mostInHand,
        send: (message, reference, leaveByMs) => sender.send(message, reference, leaveByMs),
        ...(sender.lookUp === undefined ? {} : { lookUp: sender.lookUp }),
        ...(sender.lookUpBatch === undefined ? {} : { lookUpBatch: sender.lookUpBatch }),
      };
    },
    async close() {
      await Promise.allSettled(opening.values());
      await Promise.all([...open.values()].map(({ sender }) => sender.close()));
      open.clear();
    },
  };

  // Whoever asks meanwhile waits for the same connections.
  function openOnce(account: UsableAccount): Promise<OpenSender> {
    const key = `${account.id} ${account.version}`;
    const opened = opening.get(key) ?? openNow(account).finally(() => opening.delete(key));
    opening.set(key, opened);
    return opened;
  }

  async function openNow({ id, tenantId }: UsableAccount): Promise<OpenSender> {
    const account = await loadWhole(options.db, { id, tenantId });
    const kept = open.get(id);
    if (kept?.version === account.version) {
      return kept.sender;
    }
    const sender = createSender(options, account, openAccount(options.sealing, account));
    open.set(id, { version: account.version, sender });
    // Slices that have the other one end with it.
    setTimeout(() => void kept?.sender.close(), longestSliceMs).unref();
    return sender;
  }
}

async function load(db: Knex, tenantId: string, accountId: string): Promise<UsableAccount> {
  const account = await withTenant(db, tenantId, async (trx) =>
    UsableAccount.query(trx)
      .findById(accountId)
      .whereNotNull('vendor')
      .where((mine) => {
        void mine.where('tenant_id', tenantId).orWhereNull('tenant_id');
      }),
  );
  if (account === undefined) {
    throw notFound('providerAccount');
  }
  return account;
}

/** With what opens it, which no tenant's transaction may read of the platform's accounts. */
async function loadWhole(
  db: Knex,
  { id, tenantId }: Pick<UsableAccount, 'id' | 'tenantId'>,
): Promise<ProviderAccount> {
  const account = await acrossTenants(db, 'credentials', async (trx) =>
    ProviderAccount.query(trx).findById(id).where({ tenant_id: tenantId }),
  );
  if (account === undefined) {
    throw notFound('providerAccount');
  }
  return account;
}
