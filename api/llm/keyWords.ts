import type { AccountSteering, KeyringAccount, KeySteering } from '../../clients/keyrings';
import type { AuditAction } from '../../domain/identity/auditActions';
import type { KeyringSeen } from '../../domain/llm/keyrings/types';
import type { OwnedRequest } from './owned';

/** What is said of every answer to a person's word. */
export const holds =
  'It holds in every process as soon as this answers. 202 with `meta.workflow` "pending" says that the keyring’s workflow will follow when it can be reached.';

const actionOf = {
  pause: 'llmKey.paused',
  resume: 'llmKey.resumed',
  drain: 'llmKey.drained',
  revoke: 'llmKey.revoked',
  rotate: 'llmKey.rotated',
  replace: 'llmKey.replaced',
  probe: 'llmKey.probed',
} as const satisfies Record<KeySteering, AuditAction>;

/** A request about one key. */
export type KeyRequest = Pick<
  OwnedRequest<{ id: 'llmKey' }, unknown, unknown>,
  'context' | 'requestId' | 'params' | 'inOwn' | 'ownerId' | 'userId' | 'deps'
>;

/** What the audit log says of a word on a key. */
export function deed({ ownerId }: Pick<KeyRequest, 'ownerId'>, kind: KeySteering, keyId: string) {
  return {
    action: actionOf[kind],
    target: { kind: 'llmKey', id: keyId },
    tenantId: ownerId,
  } as const;
}

/** Tells the keyring what was written; it may not be there to hear it. */
export function tellKeyring(
  request: KeyRequest,
  kind: KeySteering,
  ring: KeyringSeen,
  word: Parameters<KeyRequest['deps']['keyrings']['steer']>[2],
): Promise<'informed' | 'pending'> {
  const account = accountOf(ring);
  return informed(request, account, () => request.deps.keyrings.steer(kind, account, word));
}

/** The same of a word on a whole account. */
export function tellOfAccount(
  request: Pick<KeyRequest, 'deps' | 'requestId'>,
  kind: AccountSteering,
  account: KeyringAccount,
  word: Parameters<KeyRequest['deps']['keyrings']['steerAccount']>[2],
): Promise<'informed' | 'pending'> {
  return informed(request, account, () => request.deps.keyrings.steerAccount(kind, account, word));
}

async function informed(
  { deps, requestId }: Pick<KeyRequest, 'deps' | 'requestId'>,
  { accountId }: KeyringAccount,
  say: () => Promise<unknown>,
): Promise<'informed' | 'pending'> {
  try {
    await say();
    return 'informed';
  } catch (error) {
    // The records hold, and the keyring looks at them by itself: sooner when it can be told to.
    deps.logger.warn({ requestId, accountId, err: error }, 'keyring not told yet');
    deps.keyrings.stateChanged([accountId]);
    return 'pending';
  }
}

/** An account as its keyring is started. */
export function accountOf({ account, keys }: KeyringSeen) {
  const kept = keys.filter(({ standing }) => standing !== 'revoked').length;
  return { accountId: account.id, tenantId: account.tenantId, name: account.name, keys: kept };
}
