import { ApplicationFailure, Context } from '@temporalio/activity';
import { AppError } from '../../domain/errors';
import { isGood } from '../../domain/llm/keyrings/jobs';
import type { KeyringSeen } from '../../domain/llm/keyrings/types';
import type { AccountStanding, KeyStanding } from '../../domain/llm/types';
import { derivedId } from '../../lib/ids';
import { acrossTenants } from '../../models/base';
import { loadKeyring } from '../../models/llm/keyrings';
import { areCallsOpenSince, setAccountStanding, setKeyStanding } from '../../models/llm/standings';
import type { ActivityDeps } from '../deps';

/** Whose keyring asks. */
export interface KeyringOwner {
  accountId: string;
  tenantId: string | null;
}

/** Somebody's word on a key, for the records. */
export interface KeyStandingOrder extends KeyringOwner {
  keyId: string;
  standing: KeyStanding;
  reason: string | null;
  /** Null for an operator in the Temporal UI. */
  actorId: string | null;
  /** The key that comes in its place. */
  newKeyId: string | null;
}

/** Somebody's word on an account. */
export type AccountStandingOrder = KeyringOwner &
  Pick<KeyStandingOrder, 'reason' | 'actorId'> & { standing: AccountStanding };

/** The records' side of keyrings; each is safe to run twice, for the reason given at it. */
export function createKeyringActivities({ db }: Pick<ActivityDeps, 'db'>) {
  return {
    /** Reads only, all as it was at one moment. Null where the account is gone. */
    loadKeyring: ({ accountId, tenantId }: KeyringOwner): Promise<KeyringSeen | null> =>
      acrossTenants(
        db,
        'llmRing',
        (trx) => loadKeyring(trx, { ownerId: tenantId, id: accountId }),
        { isolationLevel: 'repeatable read' },
      ),

    /** A word that was written is not written again, since another one may have come after it. */
    async setKeyStanding(order: KeyStandingOrder): Promise<{ isChanged: boolean }> {
      const { tenantId, accountId, keyId, ...word } = order;
      return refusing(() =>
        acrossTenants(db, 'llmRing', async (trx) => {
          const key = { ownerId: tenantId, id: keyId };
          const said = { ...word, id: wordId(), actorKind: 'user' } as const;
          const change = await setKeyStanding(trx, key, said);
          if (change.accountId !== accountId) {
            throw new AppError('notFound', 'llmKeyNotFound', 'The account has no such key.');
          }
          return { isChanged: change.isChanged };
        }),
      );
    },

    /** The same of an account. */
    async setAccountStanding(order: AccountStandingOrder): Promise<{ isChanged: boolean }> {
      const { tenantId, accountId, ...word } = order;
      return refusing(() =>
        acrossTenants(db, 'llmRing', async (trx) => {
          const account = { ownerId: tenantId, id: accountId };
          const { isChanged } = await setAccountStanding(trx, account, { ...word, id: wordId() });
          return { isChanged };
        }),
      );
    },

    /**
     * Revokes a key that was rotated once the one in its place is good and no call of before can be under
     * way by it any more. A revoked key stays revoked, and one that a person took back stays as it is.
     */
    async revokeReplacedKey(
      order: KeyringOwner & { keyId: string },
    ): Promise<{ isRevoked: boolean }> {
      const { tenantId, accountId, keyId } = order;
      const seen = await acrossTenants(db, 'llmRing', (trx) =>
        loadKeyring(trx, { ownerId: tenantId, id: accountId }),
      );
      const key = seen?.keys.find(({ id }) => id === keyId);
      if (seen == null || key?.standing !== 'draining' || key.replacedBy === null) {
        return { isRevoked: key?.standing === 'revoked' };
      }
      if (!isGood(seen, key.replacedBy)) {
        return { isRevoked: false };
      }
      const drainsSince = new Date(key.standingAt);
      if (await acrossTenants(db, 'llmLedger', (trx) => areCallsOpenSince(trx, drainsSince))) {
        return { isRevoked: false };
      }
      const change = await acrossTenants(db, 'llmRing', (trx) =>
        setKeyStanding(
          trx,
          { ownerId: tenantId, id: keyId },
          {
            standing: 'revoked',
            reason: key.standingReason,
            actorId: key.standingBy,
            actorKind: 'timer',
            // Somebody may have taken it back while the calls were looked for.
            ifStill: { standing: 'draining', at: drainsSince },
          },
        ),
      );
      return { isRevoked: change.isChanged || change.before === 'revoked' };
    },
  };
}

// The same for each attempt.
function wordId(): string {
  const { workflowExecution, activityId, scheduledTimestampMs } = Context.current().info;
  const run = workflowExecution?.runId ?? '';
  return derivedId(new Date(scheduledTimestampMs), `${run}/${activityId}`);
}

// What the records refuse is refused for ever: whoever gave the word is told.
async function refusing<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof AppError) {
      throw ApplicationFailure.nonRetryable(error.message, error.code);
    }
    throw error;
  }
}
