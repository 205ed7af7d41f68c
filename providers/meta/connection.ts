import type { ConnectionOutcome } from '../../domain/messages/accounts/types';
import { isObject } from '../http/failures';
import { UnreadableAnswer, VendorReply } from '../http/strictHttp';
import type { MetaAccount } from './account';
import { errorClassOf } from './errorCodes';
import { openGraph } from './graph';
import { outcomeOfError, readError } from './outcome';

/** Asks Meta for the number itself, once. Nothing is sent or changed by it. */
export async function testMeta(
  account: Omit<MetaAccount, 'accountId'>,
): Promise<ConnectionOutcome> {
  const graph = openGraph(account);
  try {
    const { body } = await graph.get(`${account.phoneNumberId}?fields=id,status`);
    return outcomeOf(body, account.phoneNumberId);
  } catch (error) {
    return failureOf(error);
  } finally {
    graph.close();
  }
}

// Numbers of these states send nothing, whatever their token may do.
const deadStates: ReadonlySet<unknown> = new Set(['BANNED', 'DELETED', 'DISCONNECTED', 'MIGRATED']);

function outcomeOf(body: unknown, phoneNumberId: string): ConnectionOutcome {
  if (!isObject(body) || body.id !== phoneNumberId) {
    return notMeta;
  }
  return deadStates.has(body.status)
    ? { kind: 'refused', reason: `the number is ${String(body.status).toLowerCase()}` }
    : { kind: 'accepted' };
}

const notMeta: ConnectionOutcome = {
  kind: 'unreachable',
  reason: 'the answer is not one of Meta',
};

function failureOf(error: unknown): ConnectionOutcome {
  if (error instanceof UnreadableAnswer) {
    return notMeta;
  }
  const outcome = outcomeOfError(error, Date.now());
  const reason = 'reason' in outcome ? outcome.reason : outcome.kind;
  return { kind: isRefusal(error) ? 'refused' : 'unreachable', reason };
}

// A number that is not there, or not this token's, is answered as a wrong parameter.
function isRefusal(error: unknown): boolean {
  if (!(error instanceof VendorReply)) {
    return false;
  }
  const errorClass = errorClassOf(readError(error.body).code);
  return (
    [401, 403].includes(error.status) || errorClass === 'configuration' || errorClass === 'template'
  );
}
