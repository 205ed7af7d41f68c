import type { CompiledContent } from '../../domain/messages/compileContent';
import { compileStored } from '../../domain/messages/compileStored';
import { compileSms, compileWhatsApp, type CompiledText } from '../../domain/messages/compileText';
import {
  neededFields,
  printedAttributes,
  type CustomerField,
} from '../../domain/messages/neededFields';
import type { RenderedSms } from '../../domain/messages/smsContent';
import type { WhatsAppContent } from '../../domain/messages/whatsAppContent';
import { withTenant } from '../../models/base';
import { loadRunContent, type CampaignContent } from '../../models/campaigns/contents';
import { accountOf } from '../../models/campaigns/accountOf';
import type { ActivityDeps } from '../deps';

/** A run's frozen content, compiled once, and the account it leaves by. */
export type RunContent = RunMail | RunTexts;

export interface RunMail {
  channel: 'email';
  accountId: string;
  /** What of a customer it reads. */
  fields: ReadonlySet<CustomerField>;
  /** The attributes it prints and does nothing else with; null when it needs all. */
  attributes: readonly string[] | null;
  from: { email: string; name: string | null };
  replyTo: string | null;
  compiled: CompiledContent;
}

export type RunTexts = {
  accountId: string;
  fields: ReadonlySet<CustomerField>;
  /** Null for the account's first one. */
  sender: string | null;
} & (
  | { channel: 'sms'; compiled: CompiledText<RenderedSms> }
  | { channel: 'whatsapp'; compiled: CompiledText<WhatsAppContent> }
);

// As many campaigns as a worker is likely to have in hand; the content of a run never changes.
const keepRuns = 50;

/** Answers each run's content, kept in memory for the newest runs asked for. */
export function createRunContents(deps: Pick<ActivityDeps, 'db'>) {
  const kept = new Map<string, Promise<RunContent>>();
  return function contentOf(tenantId: string, runId: string): Promise<RunContent> {
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

async function load(
  { db }: Pick<ActivityDeps, 'db'>,
  tenantId: string,
  runId: string,
): Promise<RunContent> {
  const { content, accountId } = await withTenant(db, tenantId, async (trx) => ({
    content: await loadRunContent(trx, tenantId, runId),
    accountId: await accountOf(trx, tenantId, runId),
  }));
  return compileRun(content, accountId);
}

function compileRun(content: CampaignContent, accountId: string): RunContent {
  switch (content.channel) {
    case 'email': {
      const compiled = compileStored(content);
      return {
        channel: 'email',
        accountId,
        fields: neededFields(compiled),
        attributes: printedAttributes(compiled),
        from: { email: content.fromEmail, name: content.fromName },
        replyTo: content.replyTo,
        compiled,
      };
    }
    case 'sms': {
      const { channel, sender } = content;
      const compiled = compileSms(content, content);
      return { channel, accountId, fields: compiled.fields, sender, compiled };
    }
    case 'whatsapp': {
      const { channel, sender } = content;
      const compiled = compileWhatsApp(content.message, content);
      return { channel, accountId, fields: compiled.fields, sender, compiled };
    }
  }
}
