import { z } from 'zod';
import type { KeySteering } from '../../clients/keyrings';
import { AppError, conflict, notFound } from '../../domain/errors';
import type { AuditAction } from '../../domain/identity/auditActions';
import { explainKey, explainKeys, type KeyExplained } from '../../domain/llm/keyrings/explain';
import {
  LlmKeyExplained,
  LlmKeyStatus,
  ReplaceLlmKey,
  SteerLlmKey,
} from '../../domain/llm/keyrings/schema';
import type { KeyringSeen, TransitionSeen } from '../../domain/llm/keyrings/types';
import type { KeyStanding } from '../../domain/llm/types';
import type { Knex } from '../../lib/db';
import { audit } from '../../models/identity/audit';
import { loadKeyring, loadKeyrings } from '../../models/llm/keyrings';
import { createLlmKey, requireLlmKey } from '../../models/llm/keys';
import { lockStanding, setKeyStanding } from '../../models/llm/standings';
import { keyringWorkflowId } from '../../workflows/llm/messages';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { reply } from '../route';
import { ownedRoutes, type OwnedRequest } from './owned';

const shared = { tags: ['llm'] } as const;
const reading = { permission: 'llmKey:read', platformPermission: 'platform:read' } as const;
const writing = { permission: 'llmKey:write', platformPermission: 'platform:write' } as const;
const params = { id: 'llmKey' } as const;
const answers = { 200: LlmKeyStatus, 202: LlmKeyStatus } as const;
const meta = z.object({ workflowId: z.string(), workflow: z.enum(['informed', 'pending']) });

const holds =
  'It holds in every process as soon as this answers. 202 with `meta.workflow` "pending" says that the keyring’s workflow will follow when it can be reached.';

const status = ownedRoutes({
  ...shared,
  ...reading,
  method: 'get',
  path: '/llm/keys/status',
  name: 'listLlmKeyStatuses',
  summary: 'How all keys at vendors of language models stand, and why',
  answers: { 200: z.array(LlmKeyStatus) },
  async handler({ inOwn, ownerId }) {
    const rings = await inOwn((trx) => loadKeyrings(trx, ownerId));
    const now = Date.now();
    return reply(
      200,
      rings.flatMap((ring) => explainKeys(ring, now).map((key) => presentStatus(ring, key))),
    );
  },
});

const explain = ownedRoutes({
  ...shared,
  ...reading,
  method: 'get',
  path: '/llm/keys/:id/explain',
  name: 'explainLlmKey',
  summary: 'How one key stands, why, and what was before',
  params,
  answers: { 200: LlmKeyExplained },
  async handler({ params: { id }, inOwn, ownerId }) {
    const { ring, key } = await inOwn((trx) => readKey(trx, { ownerId, id }));
    const history = [...ring.transitions, ...ring.words]
      .filter(({ keyId }) => keyId === null || keyId === id)
      .toSorted((a, b) => b.at.localeCompare(a.at))
      .map(presentTransition);
    return reply(200, { ...presentStatus(ring, key), history });
  },
});

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

const rotate = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/keys/:id/rotate',
  name: 'rotateLlmKey',
  summary: 'Put a new key in the place of one that ends what it began',
  description: `${holds} The old key is revoked some ten minutes later, once no call of before is open. Answers the new key.`,
  params,
  body: json(ReplaceLlmKey),
  idempotent: true,
  stepUp: true,
  answers: { 201: LlmKeyStatus },
  meta,
  problems: ['llmKeyKnown', 'llmKeyRevoked'],
  handler: (request) => replaceKey(request, 'rotate'),
});

const replace = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/keys/:id/replace',
  name: 'replaceLlmKey',
  summary: 'Put a new key in the place of one that is revoked at once',
  description: `${holds} For a key in wrong hands; calls under way with it end by themselves. Answers the new key.`,
  params,
  body: json(ReplaceLlmKey),
  idempotent: true,
  stepUp: true,
  answers: { 201: LlmKeyStatus },
  meta,
  problems: ['llmKeyKnown', 'llmKeyRevoked'],
  handler: (request) => replaceKey(request, 'replace'),
});

const probe = ownedRoutes({
  ...shared,
  ...writing,
  method: 'post',
  path: '/llm/keys/:id/probe',
  name: 'probeLlmKey',
  summary: 'Ask its vendor about a key now',
  description: 'A key that cools or is suspended serves again when its vendor says so.',
  params,
  idempotent: true,
  answers: { 200: LlmKeyStatus },
  problems: ['llmKeyNotInUse', 'workflowsUnavailable'],
  async handler(request) {
    const { params: given, inOwn, ownerId, deps, userId, requestId } = request;
    const { ring } = await inOwn(async (trx) => {
      const key = await requireLlmKey(trx, { ownerId, id: given.id });
      if (key.standing === 'paused' || key.standing === 'revoked') {
        throw conflict('llmKeyNotInUse', `The key is ${key.standing}: nobody asks its vendor.`);
      }
      await audit(trx, auditOf(request, deed(request, 'probe', given.id)));
      return readKey(trx, { ownerId, id: given.id });
    });
    try {
      await deps.keyrings.steer('probe', accountOf(ring), { keyId: given.id, actorId: userId });
    } catch (error) {
      deps.logger.warn({ requestId, keyId: given.id, err: error }, 'key not probed');
      throw new AppError(
        'unavailable',
        'workflowsUnavailable',
        'Keys cannot be asked about now; try again in a moment.',
        { retryAfterSeconds: 10, cause: error },
      );
    }
    const after = await inOwn((trx) => readKey(trx, { ownerId, id: given.id }));
    return reply(200, presentStatus(after.ring, after.key));
  },
});

/** Before the routes of one key: `status` is no id. */
export const llmSteeringRoutes = [
  ...status,
  ...explain,
  ...pause,
  ...resume,
  ...drain,
  ...revoke,
  ...rotate,
  ...replace,
  ...probe,
];

const actionOf = {
  pause: 'llmKey.paused',
  resume: 'llmKey.resumed',
  drain: 'llmKey.drained',
  revoke: 'llmKey.revoked',
  rotate: 'llmKey.rotated',
  replace: 'llmKey.replaced',
  probe: 'llmKey.probed',
} as const satisfies Record<KeySteering, AuditAction>;

type KeyRequest = Pick<
  OwnedRequest<typeof params, unknown, unknown>,
  'context' | 'requestId' | 'params' | 'inOwn' | 'ownerId' | 'userId' | 'deps'
>;

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
  const workflow = await tell(request, kind, found.ring, {
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
  const workflow = await tell(request, kind, found.ring, {
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

function deed({ ownerId }: Pick<KeyRequest, 'ownerId'>, kind: KeySteering, keyId: string) {
  return {
    action: actionOf[kind],
    target: { kind: 'llmKey', id: keyId },
    tenantId: ownerId,
  } as const;
}

async function tell(
  { deps, requestId }: KeyRequest,
  kind: KeySteering,
  ring: KeyringSeen,
  word: Parameters<KeyRequest['deps']['keyrings']['steer']>[2],
): Promise<'informed' | 'pending'> {
  try {
    await deps.keyrings.steer(kind, accountOf(ring), word);
    return 'informed';
  } catch (error) {
    // The records hold, and the keyring looks at them by itself.
    deps.logger.warn({ requestId, keyId: word.keyId, kind, err: error }, 'keyring not told yet');
    return 'pending';
  }
}

async function readKey(
  trx: Knex.Transaction,
  { ownerId, id }: { ownerId: string | null; id: string },
): Promise<{ ring: KeyringSeen; key: KeyExplained }> {
  const { accountId } = await requireLlmKey(trx, { ownerId, id });
  const ring = await loadKeyring(trx, { ownerId, id: accountId });
  const key = ring === null ? null : explainKey(ring, id, Date.now());
  if (ring === null || key === null) {
    throw notFound('llmKey');
  }
  return { ring, key };
}

function accountOf({ account, keys }: KeyringSeen) {
  const kept = keys.filter(({ standing }) => standing !== 'revoked').length;
  return { accountId: account.id, tenantId: account.tenantId, name: account.name, keys: kept };
}

function presentStatus({ account }: KeyringSeen, key: KeyExplained): z.output<typeof LlmKeyStatus> {
  const { keyId, label, state, scope, reason, until, nextCheckAt, text } = key;
  const of = { accountId: account.id, account: account.name };
  return { keyId, label, ...of, state, scope, reason, until, nextCheckAt, text };
}

function presentTransition(one: TransitionSeen) {
  const { at, scope, fromState, toState, reason, until, actorKind, actorId } = one;
  return { at, scope, from: fromState, to: toState, reason, until, by: actorKind, userId: actorId };
}
