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
    await trx('audit_log').insert(entries.map(rowOf)).onConflict('id').ignore();
  }
}

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
    before: jsonOf(entry.before),
    after: jsonOf(entry.after),
  };
}

// What a caller calls itself may be anything; a header may hold what Postgres keeps in no text.
function shownText(text: string): string {
  return text.slice(0, maxUserAgentLength).replace(/[\p{Cc}\p{Surrogate}]/gu, '\u{FFFD}');
}

function jsonOf(values: AuditValues | null | undefined): string | null {
  return values === null || values === undefined ? null : JSON.stringify(auditable(values));
}
