import { isIP } from 'node:net';
import type { AuditAction } from '../domain/identity/auditActions';
import type { AuditValues } from '../domain/identity/auditValues';
import type { AuditActor, AuditOrigin, NewAuditEntry } from '../models/identity/audit';
import type { ApiContext } from './context';

export interface AuditedRequest {
  readonly context: ApiContext;
  readonly requestId: string;
}

interface Deed {
  /** For what creates a thing: its id, so that a repeated request is remembered once. */
  readonly id?: string;
  readonly action: AuditAction;
  readonly target?: { readonly kind: string; readonly id: string | null };
  readonly before?: AuditValues | null;
  readonly after?: AuditValues | null;
  /** Where no principal says them: a login, a registration, what is of the platform. */
  readonly tenantId?: string | null;
  readonly actor?: AuditActor;
}

/** What a request did as the audit log keeps it: who asked, from where, and what was changed. */
export function auditOf(request: AuditedRequest, deed: Deed): NewAuditEntry {
  const { principal } = request.context.state;
  return {
    tenantId: principal?.tenantId ?? null,
    actor: actorOf(request.context),
    origin: originOf(request),
    ...deed,
  };
}

function actorOf({ state: { principal } }: ApiContext): AuditActor {
  if (principal === undefined) {
    return { kind: 'anonymous', id: null };
  }
  const { kind, userId, apiKeyId, impersonatorId } = principal;
  return { kind, id: kind === 'apiKey' ? apiKeyId : userId, impersonatorId };
}

function originOf({ context, requestId }: AuditedRequest): AuditOrigin {
  return {
    ip: ipOf(context) ?? undefined,
    userAgent: context.get('User-Agent'),
    requestId,
  };
}

/** The caller's address; an IPv4 one of a server that listens on IPv6 comes as ::ffff:192.0.2.1. */
export function ipOf(context: ApiContext): string | null {
  const ip = context.ip.replace(/^::ffff:(?=\d+\.)/i, '');
  return isIP(ip) === 0 ? null : ip;
}
