import { z } from 'zod';
import type { AccountSteering, KeyringAccount } from '../../clients/keyrings';
import { AppError, conflict } from '../../domain/errors';
import type { AuditAction } from '../../domain/identity/auditActions';
import { LlmAccount as AccountShape } from '../../domain/llm/accounts/schema';
import { SteerLlmAccount } from '../../domain/llm/keyrings/schema';
import type { AccountStanding } from '../../domain/llm/types';
import { audit } from '../../models/identity/audit';
import { requireLlmAccount } from '../../models/llm/accounts';
import type { LlmAccount } from '../../models/llm/LlmAccount';
import { setAccountStanding } from '../../models/llm/standings';
import { keyringWorkflowId } from '../../workflows/llm/messages';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { reply } from '../route';
import { holds, tellOfAccount } from './keyWords';
import { ownedRoutes, type OwnedRequest } from './owned';
import { presentLlmAccount } from './present';

const shared = {
  tags: ['llm'],
  permission: 'llmKey:write',
  platformPermission: 'platform:write',
  method: 'post',
  params: { id: 'llmAccount' },
  idempotent: true,
} as const;
const steering = {
  answers: { 200: AccountShape, 202: AccountShape },
  meta: z.object({ workflowId: z.string(), workflow: z.enum(['informed', 'pending']) }),
} as const;

const pause = ownedRoutes({
  ...shared,
  ...steering,
  path: '/llm/accounts/:id/pause',
  name: 'pauseLlmAccount',
  summary: 'Make no call with any key of an account until it is resumed',
  description: holds,
  body: json(SteerLlmAccount),
  handler: (request) => steer(request, 'pause', request.body.reason),
});

const resume = ownedRoutes({
  ...shared,
  ...steering,
  path: '/llm/accounts/:id/resume',
  name: 'resumeLlmAccount',
  summary: 'Let an account serve again that was paused or drains',
  description: `${holds} Each of its keys stands as it did by itself.`,
  handler: (request) => steer(request, 'resume'),
});

const drain = ownedRoutes({
  ...shared,
  ...steering,
  path: '/llm/accounts/:id/drain',
  name: 'drainLlmAccount',
  summary: 'Let an account end what it began, and begin nothing new',
  description: holds,
  body: json(SteerLlmAccount),
  handler: (request) => steer(request, 'drain', request.body.reason),
});

const probe = ownedRoutes({
  ...shared,
  path: '/llm/accounts/:id/probe',
  name: 'probeLlmAccount',
  summary: 'Ask its vendor about all keys of an account, and its credit, now',
  description:
    'What cools or is suspended serves again when the vendor says so. 202: it has not answered yet.',
  answers: steering.answers,
  problems: ['llmAccountNotInUse', 'workflowsUnavailable'],
  async handler(request) {
    const { params, inOwn, ownerId, deps, userId, requestId } = request;
    const key = { ownerId, id: params.id };
    const account = await inOwn(async (trx) => {
      const stored = await requireLlmAccount(trx, key);
      if (stored.standing === 'paused') {
        throw conflict('llmAccountNotInUse', 'The account is paused: nobody asks its vendor.');
      }
      await audit(trx, auditOf(request, deed(request, 'probe')));
      return stored;
    });
    const word = { actorId: userId };
    const probed = await deps.keyrings
      .steerAccount('probe', ringOf(account), word)
      .catch((error: unknown) => {
        deps.logger.warn({ requestId, accountId: account.id, err: error }, 'account not probed');
        throw new AppError(
          'unavailable',
          'workflowsUnavailable',
          'Accounts cannot be asked about now; try again in a moment.',
          { retryAfterSeconds: 10, cause: error },
        );
      });
    const after = await inOwn((trx) => requireLlmAccount(trx, key));
    return reply(probed === 'done' ? 200 : 202, presentLlmAccount(after));
  },
});

export const llmAccountSteeringRoutes = [...pause, ...resume, ...drain, ...probe];

type AccountRequest = Pick<
  OwnedRequest<{ id: 'llmAccount' }, unknown, unknown>,
  'context' | 'requestId' | 'params' | 'inOwn' | 'ownerId' | 'userId' | 'deps'
>;

const standingOf = {
  pause: 'paused',
  resume: 'active',
  drain: 'draining',
} as const satisfies Partial<Record<AccountSteering, AccountStanding>>;

const actionOf = {
  pause: 'llmAccount.paused',
  resume: 'llmAccount.resumed',
  drain: 'llmAccount.drained',
  probe: 'llmAccount.probed',
} as const satisfies Record<AccountSteering, AuditAction>;

/** Writes a person's word, which is when it holds, and then tells the keyring. */
async function steer(request: AccountRequest, kind: keyof typeof standingOf, reason?: string) {
  const { params, inOwn, ownerId, userId } = request;
  const standing = standingOf[kind];
  const account = await inOwn(async (trx) => {
    const key = { ownerId, id: params.id };
    const word = { standing, reason: reason ?? null, actorId: userId };
    const change = await setAccountStanding(trx, key, word);
    if (change.isChanged) {
      const after = { standing, ...(reason === undefined ? {} : { reason }) };
      const before = { standing: change.before };
      await audit(trx, auditOf(request, { ...deed(request, kind), before, after }));
    }
    return requireLlmAccount(trx, key);
  });
  const workflow = await tellOfAccount(request, kind, ringOf(account), {
    actorId: userId,
    isWritten: true,
    ...(reason === undefined ? {} : { reason }),
  });
  return {
    status: workflow === 'informed' ? 200 : 202,
    data: presentLlmAccount(account),
    meta: { workflowId: keyringWorkflowId(account.id), workflow },
  } as const;
}

function deed({ ownerId, params }: AccountRequest, kind: AccountSteering) {
  return {
    action: actionOf[kind],
    target: { kind: 'llmAccount', id: params.id },
    tenantId: ownerId,
  } as const;
}

function ringOf({ id, tenantId, name, keyCount }: LlmAccount): KeyringAccount {
  return { accountId: id, tenantId, name, keys: keyCount };
}
