import type { z } from 'zod';
import type { LlmAccount as AccountShape } from '../../domain/llm/accounts/schema';
import type { LlmKey as KeyShape } from '../../domain/llm/keys/schema';
import type { LlmAccount } from '../../models/llm/LlmAccount';
import type { LlmKey } from '../../models/llm/LlmKey';

/** What people see of an account, field by field. */
export function presentLlmAccount(account: LlmAccount): z.output<typeof AccountShape> {
  const { balanceMicros, balanceAt } = account;
  return {
    id: account.id,
    name: account.name,
    vendor: account.vendor,
    baseUrl: account.baseUrl,
    hasManagementKey: account.hasManagementKey,
    standing: account.standing,
    standingReason: account.standingReason,
    standingAt: account.standingAt.toISOString(),
    maxConcurrency: account.maxConcurrency,
    balanceFloorMicros: account.balanceFloorMicros,
    balance:
      balanceMicros === null || balanceAt === null
        ? null
        : { micros: balanceMicros, asOf: balanceAt.toISOString() },
    keys: account.keyCount,
    createdAt: account.createdAt.toISOString(),
    updatedAt: account.updatedAt.toISOString(),
  };
}

/** What people see of a key: everything but the key. */
export function presentLlmKey(key: LlmKey): z.output<typeof KeyShape> {
  return {
    id: key.id,
    accountId: key.accountId,
    label: key.label,
    last4: key.last4,
    weight: key.weight,
    maxConcurrency: key.maxConcurrency,
    allowedModels: key.allowedModels,
    workspace: key.workspace,
    expiresAt: key.expiresAt?.toISOString() ?? null,
    standing: key.standing,
    standingReason: key.standingReason,
    standingAt: key.standingAt.toISOString(),
    replaces: key.replaces,
    limit:
      key.limitsAt === null
        ? null
        : {
            micros: key.limitMicros,
            remainingMicros: key.limitRemainingMicros,
            resets: key.limitReset,
            asOf: key.limitsAt.toISOString(),
          },
    createdAt: key.createdAt.toISOString(),
    updatedAt: key.updatedAt.toISOString(),
  };
}
