import { conflict, notFound } from '../../domain/errors';
import type { Role } from '../../domain/identity/permissions';
import type { Knex } from '../../lib/db';
import { requireUser } from './platform';
import { openSession } from './sessions';
import { tenantsOf } from './tenants';

/** How long an admin acts as somebody else before they have to say again why. */
export const impersonationMinutes = 60;

/**
 * Begins a session of somebody, for an admin who acts as them in one of their tenants. It is over
 * after an hour, with the admin's own suspension, or when they are no admin any more.
 *
 * @throws notFound user, or tenant where it is none of theirs
 * @throws conflict notImpersonable for a platform admin, or whoever is suspended
 */
export async function impersonate(
  trx: Knex.Transaction,
  session: {
    id: string;
    userId: string;
    tenantId: string;
    adminId: string;
    ip: string | null;
    userAgent: string | null;
  },
): Promise<{ role: Role }> {
  const user = await requireUser(trx, session.userId);
  const [place] = await tenantsOf(trx, session.userId)
    .select('tenants.*')
    .where('tenants.id', session.tenantId);
  if (place === undefined) {
    throw notFound('tenant');
  }
  if (user.isPlatformAdmin || user.suspendedAt !== null || place.suspendedAt !== null) {
    throw conflict(
      'notImpersonable',
      'Nobody acts as a platform admin, as a suspended person or in a suspended tenant.',
    );
  }
  await openSession(trx, {
    id: session.id,
    userId: session.userId,
    tenantId: session.tenantId,
    impersonatedBy: session.adminId,
    ip: session.ip,
    userAgent: session.userAgent,
    lastsMinutes: impersonationMinutes,
  });
  return { role: place.role };
}
