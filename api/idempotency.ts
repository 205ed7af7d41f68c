import { AppError, conflict, invalidField } from '../domain/errors';
import { derivedId, newRandomId } from '../lib/ids';
import {
  claimKey,
  extendClaim,
  releaseClaim,
  storeAnswer,
  type Claim,
} from '../models/requests/idempotencyKeys';
import type { ApiContext } from './context';
import type { ApiDeps } from './deps';
import { problemOf, statusOf } from './middleware/problem';
import type { RenderedReply } from './replies';
import type { Call, Route } from './route';

const extendEveryMs = 20_000;

/**
 * Runs the call at most once for its Idempotency-Key and answers repeats with what the first one
 * answered. Without a key it just runs. Answers of ours that failed (5xx) are not kept: the key is
 * free again, and the ids a second run derives are those of the first.
 */
export async function once(
  context: ApiContext,
  deps: ApiDeps,
  { idempotent }: Pick<Route, 'idempotent'>,
  call: Call,
  run: () => Promise<RenderedReply>,
): Promise<RenderedReply> {
  const { 'idempotency-key': key } = context.req.headers;
  const { principal } = context.state;
  if (typeof key !== 'string' || principal?.tenantId == null) {
    return run();
  }
  requireUsableKey(key);
  const claim: Claim = {
    tenantId: principal.tenantId,
    key,
    route: `${context.method} ${context.path}`,
    bodyDigest: call.bodyDigest,
    claimedBy: newRandomId(),
  };
  const result = await claimKey(deps.db, deps.sealing, claim);
  switch (result.kind) {
    case 'claimed':
      context.state.idempotentId = () =>
        derivedId(result.firstAt, `${claim.tenantId} ${claim.route} ${key}`);
      return runClaimed(deps, claim, run, {
        requestId: context.state.requestId,
        sealing: idempotent === 'sealed' ? deps.sealing : null,
      });
    case 'answered':
      return {
        ...result.answer,
        headers: { ...result.answer.headers, 'Idempotency-Replayed': 'true' },
      };
    case 'running':
      throw new AppError(
        'conflict',
        'requestInProgress',
        'The first request with this Idempotency-Key is still being worked on.',
        { retryAfterSeconds: Math.min(result.forSeconds, 5) },
      );
    case 'otherRequest':
      throw conflict(
        'idempotencyKeyReused',
        'This Idempotency-Key was used for another request; take a new one.',
      );
  }
}

/** Refuses a key that is longer than 255 or holds anything but visible ASCII. */
export function requireUsableKey(key: string): void {
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw invalidField(
      'Idempotency-Key',
      'wrongFormat',
      'The header takes 1 to 255 visible ASCII characters.',
    );
  }
}

async function runClaimed(
  deps: ApiDeps,
  claim: Claim,
  run: () => Promise<RenderedReply>,
  { requestId, sealing }: { requestId: string; sealing: ApiDeps['sealing'] | null },
): Promise<RenderedReply> {
  const stopExtending = keepExtending(deps, claim);
  try {
    const { kept, ...reply } = await run();
    await storeAnswer(deps.db, claim, { ...reply, body: kept ?? textOf(reply.body) }, sealing);
    return reply;
  } catch (error) {
    if (error instanceof AppError && isLasting(error)) {
      const answer = {
        status: statusOf[error.kind],
        headers: { 'Content-Type': 'application/problem+json' },
        body: JSON.stringify(problemOf(error, requestId)),
      };
      await storeAnswer(deps.db, claim, answer, sealing);
    } else {
      // When this fails as well, the lock runs out by itself.
      await releaseClaim(deps.db, claim).catch((cause: unknown) => {
        deps.logger.warn({ requestId, err: cause }, 'idempotency key not released');
      });
    }
    throw error;
  } finally {
    stopExtending();
  }
}

function isLasting(error: AppError): boolean {
  return statusOf[error.kind] < 500 && error.kind !== 'rateLimited';
}

function keepExtending(deps: ApiDeps, claim: Claim): () => void {
  const timer = setInterval(() => {
    extendClaim(deps.db, claim).catch((error: unknown) => {
      deps.logger.warn({ err: error }, 'idempotency key not extended');
    });
  }, extendEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

function textOf(body: RenderedReply['body']): string | null {
  if (body !== null && typeof body !== 'string') {
    throw new Error('An idempotent route answers JSON only');
  }
  return body;
}
