import { z } from 'zod';
import type { KeySteering } from '../../clients/keyrings';
import { AppError, conflict } from '../../domain/errors';
import { LlmKeyStatus, SteerLlmKey } from '../../domain/llm/keyrings/schema';
import type { KeyStanding } from '../../domain/llm/types';
import { audit } from '../../models/identity/audit';
import { requireLlmKey } from '../../models/llm/keys';
import { setKeyStanding } from '../../models/llm/standings';
import { keyringWorkflowId } from '../../workflows/llm/messages';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { reply } from '../route';
import { presentStatus, readKey } from './keyStatus';
import { accountOf, deed, holds, tellKeyring, type KeyRequest } from './keyWords';
import { ownedRoutes } from './owned';

const shared = { tags: ['llm'] } as const;
const writing = { permission: 'llmKey:write', platformPermission: 'platform:write' } as const;
const params = { id: 'llmKey' } as const;
const answers = { 200: LlmKeyStatus, 202: LlmKeyStatus } as const;
const meta = z.object({ workflowId: z.string(), workflow: z.enum(['informed', 'pending']) });

const pause = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/keys/:id/pause',
  name: 'pauseLlmKey',
  summary: 'Make no call with a key until it is resumed',
  description: holds,
  params,
  body: json(SteerLlmKey),
  idempotent: true,
  answers,
  meta,
  problems: ['llmKeyRevoked'],
  handler: (request) => steer(request, 'pause', 'paused', request.body.reason),
});

const resume = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/keys/:id/resume',
  name: 'resumeLlmKey',
  summary: 'Let a key serve again that was paused or drains',
  description: `${holds} What its vendor refuses it for stays: see \`probe\`.`,
  params,
  idempotent: true,
  answers,
  meta,
  problems: ['llmKeyRevoked'],
  handler: (request) => steer(request, 'resume', 'active'),
});

const drain = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/keys/:id/drain',
  name: 'drainLlmKey',
  summary: 'Let a key end what it began, and begin nothing new',
  description: holds,
  params,
  body: json(SteerLlmKey),
  idempotent: true,
  answers,
  meta,
  problems: ['llmKeyRevoked'],
  handler: (request) => steer(request, 'drain', 'draining', request.body.reason),
});

const revoke = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/keys/:id/revoke',
  name: 'revokeLlmKey',
  summary: 'Never use a key again',
  description: `${holds} Revoke it at its vendor as well.`,
  params,
  body: json(SteerLlmKey),
  stepUp: true,
  idempotent: true,
  answers,
  meta,
  handler: (request) => steer(request, 'revoke', 'revoked', request.body.reason),
});

const probe = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/keys/:id/probe',
  name: 'probeLlmKey',
  summary: 'Ask its vendor about a key now',
  description:
    'A key that cools or is suspended serves again when its vendor says so. 202: the vendor has not answered yet.',
  params,
  idempotent: true,
  answers,
  problems: ['llmKeyNotInUse', 'workflowsUnavailable'],
  async handler(request) {
    const { params: given, inOwn, ownerId, deps, userId, requestId } = request;
    const { ring } = await inOwn(async (trx) => {
      const key = await requireLlmKey(trx, { ownerId, id: given.id });
      if (key.standing === 'paused' || key.standing === 'revoked') {
        throw conflict('llmKeyNotInUse', `The key is ${key.standing}: nobody asks its vendor.`);
      }
      const found = await readKey(trx, { ownerId, id: given.id });
      if (found.ring.account.standing === 'paused') {
        throw conflict('llmKeyNotInUse', 'Its account is paused: nobody asks its vendor.');
      }
      await audit(trx, auditOf(request, deed(request, 'probe', given.id)));
      return found;
    });
    const word = { keyId: given.id, actorId: userId };
    const probed = await deps.keyrings
      .steer('probe', accountOf(ring), word)
      .catch((error: unknown) => {
        deps.logger.warn({ requestId, keyId: given.id, err: error }, 'key not probed');
        throw new AppError(
          'unavailable',
          'workflowsUnavailable',
          'Keys cannot be asked about now; try again in a moment.',
          { retryAfterSeconds: 10, cause: error },
        );
      });
    const after = await inOwn((trx) => readKey(trx, { ownerId, id: given.id }));
    return reply(probed === 'done' ? 200 : 202, presentStatus(after.ring, after.key));
  },
});

export const llmSteeringRoutes = [...pause, ...resume, ...drain, ...revoke, ...probe];

/** Writes a person's word, which is when it holds, and then tells the keyring. */
async function steer(
  request: KeyRequest,
  kind: KeySteering,
  standing: KeyStanding,
  reason?: string,
) {
  const { params: given, inOwn, ownerId, userId } = request;
  const keyId = given.id;
  const word = { standing, reason: reason ?? null, actorId: userId };
  const found = await inOwn(async (trx) => {
    const key = { ownerId, id: keyId };
    const change = await setKeyStanding(trx, key, { ...word, actorKind: 'user' });
    if (change.isChanged) {
      const after = { standing, ...(reason === undefined ? {} : { reason }) };
      const before = { standing: change.before };
      await audit(trx, auditOf(request, { ...deed(request, kind, keyId), before, after }));
    }
    return readKey(trx, key);
  });
  const workflow = await tellKeyring(request, kind, found.ring, {
    keyId,
    actorId: userId,
    isWritten: true,
    ...(reason === undefined ? {} : { reason }),
  });
  return {
    status: workflow === 'informed' ? 200 : 202,
    data: presentStatus(found.ring, found.key),
    meta: { workflowId: keyringWorkflowId(found.ring.account.id), workflow },
  } as const;
}
