import type { Middleware, ParameterizedContext } from 'koa';
import type { Role } from '../domain/identity/permissions';

/** Who asks: always one user in one tenant. */
export interface Principal {
  readonly userId: string;
  readonly tenantId: string;
  readonly role: Role;
}

/** What the middleware leaves for the next one. */
export interface ApiState {
  requestId: string;
  /** The pattern of the matched route, for logs and metrics; a path may hold what is personal. */
  routePattern?: string;
  principal?: Principal;
  /** Answers the new row's id; the same one when a request with an Idempotency-Key comes again. */
  idempotentId?: () => string;
}

export type ApiContext = ParameterizedContext<ApiState>;
export type ApiMiddleware = Middleware<ApiState>;
