import type { AuditOrigin } from '../../models/identity/audit';
import type { ApiContext } from '../context';

/** Where a request came from, for the audit log. */
export function originOf(context: ApiContext): AuditOrigin {
  return {
    ip: context.ip,
    userAgent: context.get('User-Agent'),
    requestId: context.state.requestId,
  };
}
