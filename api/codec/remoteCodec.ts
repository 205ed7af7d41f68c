import { AppError } from '../../domain/errors';
import { acrossTenants } from '../../models/base';
import { audit } from '../../models/identity/audit';
import {
  findPayloadReader,
  touchCodecSession,
  type PayloadReader,
} from '../../models/identity/codecSessions';
import { auditOf } from '../audit';
import { json } from '../bodies';
import type { ApiContext } from '../context';
import { sessionIdOf } from './cookies';
import type { CodecDeps } from './deps';
import {
  Payloads,
  hidePayloads,
  readsAnything,
  showPayloads,
  type JsonPayload,
  type Shown,
} from './payloads';

// Temporal keeps no payload of more than 2 MB; in base64 and several of them at once.
const limitBytes = 16 * 1024 * 1024;

/** Decrypts what the person may read; the log tells of it before they see it. */
export async function decode(context: ApiContext, deps: CodecDeps): Promise<void> {
  const reader = await requireReader(context, deps);
  if (!readsAnything(reader)) {
    throw new AppError('forbidden', 'forbidden', 'This needs the permission workflow:decode.');
  }
  const payloads = await readPayloads(context);
  const shown = await showPayloads(payloads, reader, deps);
  if (shown.counts.size > 0) {
    await writeDown(context, deps, reader, shown);
  }
  context.body = { payloads: shown.payloads };
}

/** Encrypts what the person entered in the UI. */
export async function encode(context: ApiContext, deps: CodecDeps): Promise<void> {
  const reader = await requireReader(context, deps);
  const payloads = await readPayloads(context);
  context.body = { payloads: await hidePayloads(payloads, reader, deps.dataKeys) };
}

async function requireReader(context: ApiContext, deps: CodecDeps): Promise<PayloadReader> {
  const sessionId = sessionIdOf(context, deps.sealing);
  const reader = sessionId === null ? null : await findPayloadReader(deps.db, sessionId);
  if (reader === null) {
    throw new AppError(
      'unauthenticated',
      'notSignedIn',
      'Sign in on the page of the codec server.',
    );
  }
  return reader;
}

async function readPayloads(context: ApiContext): Promise<JsonPayload[]> {
  const { value } = await json(Payloads, limitBytes).read(context);
  return value.payloads;
}

// An entry for each tenant, so that whoever reads the log of one finds what was read of theirs.
async function writeDown(
  context: ApiContext,
  { db }: CodecDeps,
  reader: PayloadReader,
  { counts }: Shown,
): Promise<void> {
  const request = { context, requestId: context.state.requestId };
  const actor = { kind: 'user', id: reader.userId } as const;
  const entries = [...counts].map(([tenantId, payloads]) =>
    auditOf(request, { action: 'workflow.decoded', tenantId, actor, after: { payloads } }),
  );
  await acrossTenants(db, 'identity', async (trx) => {
    await audit(trx, ...entries);
    await touchCodecSession(trx, reader.sessionId);
  });
}
