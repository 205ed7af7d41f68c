import { z } from 'zod';
import { notFound } from '../../domain/errors';
import { explainKey, explainKeys, type KeyExplained } from '../../domain/llm/keyrings/explain';
import { LlmKeyExplained, LlmKeyStatus } from '../../domain/llm/keyrings/schema';
import type { KeyringSeen } from '../../domain/llm/keyrings/types';
import type { Knex } from '../../lib/db';
import { listTransitions, type HealthTransition } from '../../models/llm/health';
import { loadKeyring, loadKeyrings } from '../../models/llm/keyrings';
import { requireLlmKey } from '../../models/llm/keys';
import { reply } from '../route';
import { ownedRoutes } from './owned';

const shared = {
  tags: ['llm'],
  permission: 'llmKey:read',
  platformPermission: 'platform:read',
} as const;

const status = ownedRoutes({
  ...shared,
  method: 'get',
  path: '/llm/keys/status',
  name: 'listLlmKeyStatuses',
  summary: 'How all keys at vendors of language models stand, and why',
  description: 'All of them at once: `meta.asOf` says when it was so.',
  answers: { 200: z.array(LlmKeyStatus) },
  meta: z.object({ asOf: z.iso.datetime() }),
  async handler({ inOwn, ownerId }) {
    const rings = await inOwn((trx) => loadKeyrings(trx, ownerId));
    const now = Date.now();
    return reply(
      200,
      rings.flatMap((ring) => explainKeys(ring, now).map((key) => presentStatus(ring, key))),
      { meta: { asOf: new Date(now).toISOString() } },
    );
  },
});

const explain = ownedRoutes({
  ...shared,
  method: 'get',
  path: '/llm/keys/:id/explain',
  name: 'explainLlmKey',
  summary: 'How one key stands, why, and what was before',
  params: { id: 'llmKey' },
  answers: { 200: LlmKeyExplained },
  async handler({ params: { id }, inOwn, ownerId }) {
    const { ring, key, transitions } = await inOwn(async (trx) => {
      const found = await readKey(trx, { ownerId, id });
      const of = { accountId: found.ring.account.id, keyId: id, limit: mostShown };
      return { ...found, transitions: await listTransitions(trx, of) };
    });
    const history = transitions.map(presentTransition);
    return reply(200, { ...presentStatus(ring, key), history });
  },
});

/** Before the routes of one key: `status` is no id. */
export const llmKeyStatusRoutes = [...status, ...explain];

// Of itself and its account: what happened to its siblings leaves it as it is.
const mostShown = 50;

/** A key with its account and all that is known of both. */
export async function readKey(
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

/** What people see of how a key stands. */
export function presentStatus(
  { account }: KeyringSeen,
  key: KeyExplained,
): z.output<typeof LlmKeyStatus> {
  const { keyId, label, state, scope, reason, until, nextCheckAt, text } = key;
  const of = { accountId: account.id, account: account.name };
  return { keyId, label, ...of, state, scope, reason, until, nextCheckAt, text };
}

function presentTransition({ at, subject, from, to, reason, until, actor }: HealthTransition) {
  return {
    at: new Date(at).toISOString(),
    scope: subject.scope,
    from,
    to,
    reason,
    until: until === null ? null : new Date(until).toISOString(),
    by: actor.kind,
    userId: actor.id,
  };
}
