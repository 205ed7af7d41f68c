import type { PlatformAction, TenantAction } from '../../domain/identity/permissions';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import type { ParamSpecs } from '../parameters';
import {
  adminRoute,
  route,
  type Answers,
  type Declaration,
  type Reply,
  type Route,
  type UserRequest,
} from '../route';

/** A request about what a tenant owns, or the platform. */
export interface OwnedRequest<P, Q, B> extends UserRequest<P, Q, B> {
  /** The tenant; null for the platform. */
  readonly ownerId: string | null;
  /** The key of the row to create; of a tenant the same for a repeated request. */
  readonly idempotentId: () => string;
  /** Runs the work in one transaction that sees what is the owner's. */
  readonly inOwn: <T>(work: (trx: Knex.Transaction) => Promise<T>) => Promise<T>;
}

/**
 * One operation as two routes: for a tenant about its own, and for platform admins, under `/admin`,
 * about the platform's. Rows of the platform have no tenant, so every query says whose it asks for.
 */
export function ownedRoutes<
  const P extends ParamSpecs,
  const A extends Answers,
  Q = undefined,
  B = undefined,
>(
  declaration: Declaration<P, Q, B, A> & {
    permission: TenantAction;
    platformPermission: PlatformAction;
    handler(request: OwnedRequest<P, Q, B>): Promise<Reply<A>>;
  },
): Route[] {
  const { permission, platformPermission, ...shared } = declaration;
  return [
    route<P, A, Q, B>({
      ...shared,
      permission,
      handler: (request) =>
        declaration.handler({ ...request, ownerId: request.tenantId, inOwn: request.inTenant }),
    }),
    adminRoute<P, A, Q, B>({
      ...shared,
      path: `/admin${shared.path}`,
      name: shared.name.replace('Llm', 'PlatformLlm'),
      summary: `${shared.summary}, of the platform`,
      permission: platformPermission,
      handler: (request) =>
        declaration.handler({
          ...request,
          ownerId: null,
          idempotentId: newId,
          inOwn: request.acrossTenants,
        }),
    }),
  ];
}
