import type { CompiledContent } from '../../domain/messages/compileContent';
import { compileStored } from '../../domain/messages/compileStored';
import { neededFields, type CustomerField } from '../../domain/messages/neededFields';
import { withTenant } from '../../models/base';
import { emailContent, loadRunContent } from '../../models/campaigns/contents';
import { accountOf } from '../../models/campaigns/accountOf';
import type { ActivityDeps } from '../deps';

/** A run's frozen content, compiled once, and the account it leaves by. */
export interface RunMail {
  accountId: string;
  from: { email: string; name: string | null };
  replyTo: string | null;
  compiled: CompiledContent;
  /** What of a customer it reads. */
  fields: ReadonlySet<CustomerField>;
}

// As many campaigns as a worker is likely to have in hand; the content of a run never changes.
const keepRuns = 50;

/** Answers each run's mail, kept in memory for the newest runs asked for. */
export function createRunMail(deps: ActivityDeps) {
  const kept = new Map<string, Promise<RunMail>>();
  return function mailOf(tenantId: string, runId: string): Promise<RunMail> {
    const key = `${tenantId}/${runId}`;
    const found = kept.get(key);
    if (found !== undefined) {
      return found;
    }
    const loading = load(deps, tenantId, runId);
    kept.set(key, loading);
    loading.catch(() => kept.delete(key));
    const oldest = kept.keys().next().value;
    if (kept.size > keepRuns && oldest !== undefined) {
      kept.delete(oldest);
    }
    return loading;
  };
}

async function load(deps: ActivityDeps, tenantId: string, runId: string): Promise<RunMail> {
  const { content, accountId } = await withTenant(deps.db, tenantId, async (trx) => ({
    content: emailContent(await loadRunContent(trx, tenantId, runId)),
    accountId: await accountOf(trx, tenantId, runId),
  }));
  const compiled = compileStored(content);
  return {
    accountId,
    from: { email: content.fromEmail, name: content.fromName },
    replyTo: content.replyTo,
    compiled,
    fields: neededFields(compiled),
  };
}
