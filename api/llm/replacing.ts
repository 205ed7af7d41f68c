import { z } from 'zod';
import { conflict } from '../../domain/errors';
import { LlmKeyStatus, ReplaceLlmKey } from '../../domain/llm/keyrings/schema';
import type { Knex } from '../../lib/db';
import { audit } from '../../models/identity/audit';
import { createLlmKey, requireLlmKey, requireRoomForKey } from '../../models/llm/keys';
import { lockStanding, setKeyStanding } from '../../models/llm/standings';
import { keyringWorkflowId } from '../../workflows/llm/messages';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { reply } from '../route';
import { presentStatus, readKey } from './keyStatus';
import { deed, holds, tellKeyring, type KeyRequest } from './keyWords';
import { ownedRoutes } from './owned';

const shared = {
  tags: ['llm'],
  permission: 'llmKey:write',
  platformPermission: 'platform:write',
  params: { id: 'llmKey' },
  body: json(ReplaceLlmKey),
  idempotent: true,
  stepUp: true,
  answers: { 201: LlmKeyStatus },
  meta: z.object({ workflowId: z.string(), workflow: z.enum(['informed', 'pending']) }),
  problems: ['llmKeyKnown', 'llmKeyRevoked', 'llmKeysTooMany'],
} as const;

const rotate = ownedRoutes({
  ...shared,
  method: 'post',
  path: '/llm/keys/:id/rotate',
  name: 'rotateLlmKey',
  summary: 'Put a new key in the place of one that ends what it began',
  description: `${holds} The old key is revoked some ten minutes later, once no call of before is open. Answers the new key.`,
  handler: (request) => replaceKey(request, 'rotate'),
});

const replace = ownedRoutes({
  ...shared,
  method: 'post',
  path: '/llm/keys/:id/replace',
  name: 'replaceLlmKey',
  summary: 'Put a new key in the place of one that is revoked at once',
  description: `${holds} For a key in wrong hands; calls under way with it end by themselves. Answers the new key.`,
  handler: (request) => replaceKey(request, 'replace'),
});

export const llmReplacingRoutes = [...rotate, ...replace];

async function replaceKey(
  request: KeyRequest & {
    body: z.output<typeof ReplaceLlmKey>;
    idempotentId: () => string;
  },
  kind: 'rotate' | 'replace',
) {
  const { params: given, body, inOwn, ownerId, userId, deps, idempotentId } = request;
  const newKeyId = idempotentId();
  const reason = body.reason ?? null;
  const standing = kind === 'rotate' ? 'draining' : 'revoked';
  const found = await inOwn(async (trx) => {
    const key = { ownerId, id: given.id };
    // First of all: whoever locks a pool's row waits for none of its keys.
    const stored = await lockStanding(trx, key);
    if (stored === 'revoked' && (await isReplacedBy(trx, { ownerId, id: newKeyId }, given.id))) {
      // The same request again.
      return readKey(trx, { ownerId, id: newKeyId });
    }
    if (stored === 'revoked') {
      throw conflict('llmKeyRevoked', 'The key was revoked: add another one instead.');
    }
    if (kind === 'rotate') {
      // The old one stays for a while.
      await requireRoomForKey(trx, { ownerId, id: newKeyId });
    }
    const old = await requireLlmKey(trx, key);
    const created = await createLlmKey(
      trx,
      deps.sealing,
      { ownerId, id: newKeyId },
      {
        accountId: old.accountId,
        secret: body.secret,
        label: body.label ?? nextLabel(old.label),
        weight: old.weight,
        maxConcurrency: old.maxConcurrency,
        allowedModels: old.allowedModels,
        workspace: old.workspace,
        expiresAt: null,
        createdBy: userId,
        replaces: old.id,
      },
    );
    await setKeyStanding(trx, key, {
      standing,
      reason,
      actorId: userId,
      actorKind: 'user',
      newKeyId: created.id,
    });
    const after = { standing, replacedBy: created.id };
    const before = { standing: old.standing };
    // A request that is repeated is remembered once.
    const entry = { id: created.id, ...deed(request, kind, old.id), before, after };
    await audit(trx, auditOf(request, entry));
    return readKey(trx, { ownerId, id: created.id });
  });
  const workflow = await tellKeyring(request, kind, found.ring, {
    keyId: given.id,
    newKeyId,
    actorId: userId,
    isWritten: true,
  });
  return reply(201, presentStatus(found.ring, found.key), {
    meta: { workflowId: keyringWorkflowId(found.ring.account.id), workflow },
  });
}

async function isReplacedBy(
  trx: Knex.Transaction,
  { ownerId, id }: { ownerId: string | null; id: string },
  oldId: string,
): Promise<boolean> {
  const [row] = await trx('llm_keys').where({ id, tenant_id: ownerId }).select('replaces');
  return row?.replaces === oldId;
}

// "demo-2", "demo-2 (2)", "demo-2 (3)".
function nextLabel(label: string): string {
  const [, name = label, n] = /^(.*) \((\d+)\)$/.exec(label) ?? [];
  const suffix = ` (${n === undefined ? 2 : Number(n) + 1})`;
  return `${name.slice(0, 100 - suffix.length)}${suffix}`;
}
