import type { Middleware, ParameterizedContext } from 'koa';
import type { Permission, Role } from '../domain/identity/permissions';
import type { Allowance } from './rateLimits';

/** Who asks, and what they may do, as the database says at this moment. */
export interface Principal {
  readonly kind: 'user' | 'apiKey';
  /** Of an API key: whoever made it. */
  readonly userId: string;
  /** Null for a person who works in no tenant. */
  readonly tenantId: string | null;
  /** Null without a tenant, and for an API key. */
  readonly role: Role | null;
  readonly permissions: ReadonlySet<Permission>;
  readonly sessionId: string | null;
  readonly apiKeyId: string | null;
  /** The platform admin who acts as this person. */
  readonly impersonatorId: string | null;
  readonly isPlatformAdmin: boolean;
  readonly isEmailVerified: boolean;
  /** Why nearly everything is kept from them now, whatever their role. */
  readonly restriction: Restriction | null;
  /** When a second factor, or the password, was last shown since the sign-in. */
  readonly mfaAt: Date | null;
}

/** A tenant that was suspended; a one-time password that waits to be changed. */
export type Restriction = 'tenantSuspended' | 'passwordExpired';

/** What the middleware leaves for the next one. */
export interface ApiState {
  requestId: string;
  /** How long a body that is kept in memory may take to come, where it is not the usual time. */
  bodyTimeoutMs?: number;
  /** The pattern of the matched route, for logs and metrics; a path may hold what is personal. */
  routePattern?: string;
  principal?: Principal;
  /** What is left to the caller, as the answer's headers say it. */
  allowance?: Allowance;
  /** Answers the new row's id; the same one when a request with an Idempotency-Key comes again. */
  idempotentId?: () => string;
}

export type ApiContext = ParameterizedContext<ApiState>;
export type ApiMiddleware = Middleware<ApiState>;
