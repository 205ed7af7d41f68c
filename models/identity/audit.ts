import { isIP } from 'node:net';
import type { AuditAction, AuditActorKind } from '../../domain/identity/auditActions';
import { auditable, type AuditValues } from '../../domain/identity/auditValues';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';

/** One thing that was done, to be remembered. */
export interface NewAuditEntry {
  /**
   * For what creates a thing: the thing's id, so that a request which runs again is remembered once.
   */
  readonly id?: string;
  /** Null for what is of the platform and of no tenant. */
  readonly tenantId: string | null;
  readonly actor: AuditActor;
  readonly action: AuditAction;
  readonly target?: { readonly kind: string; readonly id: string | null } | undefined;
  readonly origin?: AuditOrigin | undefined;
  /** As it is shown to people, before and after. What is secret in it is left out here. */
  readonly before?: AuditValues | null | undefined;
  readonly after?: AuditValues | null | undefined;
}

export interface AuditActor {
  readonly kind: AuditActorKind;
  readonly id: string | null;
  /** The platform's admin who acts as this user. */
  readonly impersonatorId?: string | null;
}

/** Where a request came from. */
export interface AuditOrigin {
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  readonly requestId?: string | undefined;
}

const maxUserAgentLength = 200;

/**
 * Remembers what was done, in the transaction that does it: both happen or none. An entry can only
 * be added, so before and after are kept without anything secret, whatever the caller gives.
 */
export async function audit(
  trx: Knex.Transaction,
  ...entries: readonly NewAuditEntry[]
): Promise<void> {
  if (entries.length > 0) {
    await trx.raw(insertEntries, [JSON.stringify(entries.map(rowOf))]);
  }
}

const insertEntries = `
  insert into audit_log (id, tenant_id, actor_kind, actor_id, impersonator_id, action, target_kind,
                         target_id, ip, user_agent, request_id, before, after)
  select e.id, e.tenant_id, e.actor_kind, e.actor_id, e.impersonator_id, e.action, e.target_kind,
         e.target_id, e.ip, e.user_agent, e.request_id, e.before, e.after
    from jsonb_to_recordset(?::jsonb) as e (
      id uuid, tenant_id uuid, actor_kind text, actor_id text, impersonator_id uuid, action text,
      target_kind text, target_id text, ip inet, user_agent text, request_id text, before jsonb,
      after jsonb)
  on conflict (id) do nothing`;

function rowOf(entry: NewAuditEntry) {
  const { ip, userAgent, requestId } = entry.origin ?? {};
  return {
    id: entry.id ?? newId(),
    tenant_id: entry.tenantId,
    actor_kind: entry.actor.kind,
    actor_id: entry.actor.id,
    impersonator_id: entry.actor.impersonatorId ?? null,
    action: entry.action,
    target_kind: entry.target?.kind ?? null,
    target_id: entry.target?.id ?? null,
    ip: ip === undefined || isIP(ip) === 0 ? null : ip,
    user_agent: userAgent === undefined || userAgent === '' ? null : shownText(userAgent),
    request_id: requestId ?? null,
    before: kept(entry.before),
    after: kept(entry.after),
  };
}

// What a caller calls itself may be anything; a header may hold what Postgres keeps in no text.
function shownText(text: string): string {
  return text.slice(0, maxUserAgentLength).replace(/[\p{Cc}\p{Surrogate}]/gu, '\u{FFFD}');
}

function kept(values: AuditValues | null | undefined): AuditValues | null {
  return values === null || values === undefined ? null : auditable(values);
}
