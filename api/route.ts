import type { Readable } from 'node:stream';
import type { z } from 'zod';
import type {
  OwnAction,
  Permission,
  PlatformAction,
  TenantAction,
} from '../domain/identity/permissions';
import { acrossTenants, withTenant } from '../models/base';
import type { Knex } from '../lib/db';
import { newId } from '../lib/ids';
import { emptyBody, type BodyReader } from './bodies';
import type { ApiContext, Principal } from './context';
import type { ApiDeps } from './deps';
import { parseParams, parseQuery, type ParamSpecs } from './parameters';
import type { RateLimitKind } from './rateLimits';
import type { ProblemCode } from './problemKinds';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** An answer that is not JSON: a file, a page, a pixel, a redirect. */
export interface RawAnswer {
  readonly contentType: string;
  /** Types it may have instead, which its reply names in its headers. */
  readonly otherTypes: readonly string[];
}

/** Declares an answer that is not JSON. */
export function rawAnswer(contentType: string, ...otherTypes: readonly string[]): RawAnswer {
  return { contentType, otherTypes };
}

/** JSON, or a raw answer where the request asks for one. */
export interface EitherAnswer {
  readonly data: z.ZodType;
  readonly raw: RawAnswer;
}

/** Declares an answer that is JSON or, where the request asks for it, something else. */
export function eitherAnswer<S extends z.ZodType>(data: S, raw: RawAnswer) {
  return { data, raw };
}

/** The answers of a route by status: the schema of `data`, null for no content, raw, or either. */
export type Answers = Readonly<Record<number, z.ZodType | RawAnswer | EitherAnswer | null>>;

/** What a handler gives back: one of the declared answers. */
export type Reply<A extends Answers> = {
  [S in keyof A & number]: A[S] extends z.ZodType
    ? DataReply<S, z.output<A[S]>>
    : A[S] extends RawAnswer
      ? RawReply<S>
      : A[S] extends { data: infer D extends z.ZodType }
        ? DataReply<S, z.output<D>> | RawReply<S>
        : { status: S; headers?: Headers };
}[keyof A & number];

interface DataReply<S, D> {
  status: S;
  data: D;
  /** What a request that is repeated with its Idempotency-Key is answered in place of `data`. */
  repeated?: D;
  meta?: Meta;
  etag?: string;
  headers?: Headers;
}

interface RawReply<S> {
  status: S;
  body: string | Buffer | Readable;
  headers?: Headers;
}

type Headers = Readonly<Record<string, string>>;
export type Meta = Readonly<Record<string, unknown>>;

/** An answer with `data`; `reply(204)` is one without any. */
export function reply<S extends number>(status: S): { status: S };
export function reply<S extends number, D, R = D>(
  status: S,
  data: D,
  extra?: { repeated?: R; meta?: Meta; etag?: string; headers?: Headers },
): { status: S; data: D; repeated?: R; meta?: Meta; etag?: string; headers?: Headers };
export function reply(status: number, data?: unknown, extra: object = {}): object {
  return { status, data, ...extra };
}

/** An answer that is not JSON. */
export function rawReply<S extends number>(
  status: S,
  body: string | Buffer | Readable,
  headers: Headers = {},
): { status: S; body: string | Buffer | Readable; headers: Headers } {
  return { status, body, headers };
}

/** A reply whose declaration is behind it. */
export interface AnyReply {
  readonly status: number;
  readonly data?: unknown;
  readonly repeated?: unknown;
  readonly body?: string | Buffer | Readable;
  readonly meta?: Meta;
  readonly etag?: string;
  readonly headers?: Headers;
}

/** The checked request a public handler gets. */
export interface PublicRequest<P, Q, B> {
  readonly deps: ApiDeps;
  readonly params: Readonly<Record<keyof P, string>>;
  readonly query: Q;
  readonly body: B;
  readonly requestId: string;
  /** The Idempotency-Key as it was given; routes marked `idempotent` need not look at it. */
  readonly idempotencyKey: string | undefined;
  /** The raw If-Match; see `requireUnchanged` in etags.ts. */
  readonly ifMatch: string | undefined;
  readonly context: ApiContext;
}

/** The checked request of somebody who is signed in, in a tenant or in none. */
export interface UserRequest<P, Q, B> extends PublicRequest<P, Q, B> {
  readonly principal: Principal;
  readonly userId: string;
}

/** The checked request of a platform admin, who sees all tenants. */
export interface AdminRequest<P, Q, B> extends UserRequest<P, Q, B> {
  /** Runs the work in one transaction that may look across tenants. */
  readonly acrossTenants: <T>(work: (trx: Knex.Transaction) => Promise<T>) => Promise<T>;
}

/** The checked request within a tenant, with its walls. */
export interface TenantRequest<P, Q, B> extends UserRequest<P, Q, B> {
  readonly tenantId: string;
  /**
   * The key of the row to create. Repeating a request with the same Idempotency-Key gives the same
   * id, so that `insert … on conflict do nothing` and a load make creation safe to repeat.
   */
  readonly idempotentId: () => string;
  /** Runs the work in one transaction of the caller's tenant. */
  readonly inTenant: <T>(work: (trx: Knex.Transaction) => Promise<T>) => Promise<T>;
}

/** What every route says of itself. */
export interface Declaration<P, Q, B, A extends Answers> {
  method: Method;
  /** Under /api/v1, unless `root`. */
  path: string;
  root?: boolean;
  /** The operation's id in the OpenAPI document. */
  name: string;
  summary: string;
  description?: string;
  tags: readonly string[];
  /** A resource name (a uuid that is not one answers 404) or a schema of its own. */
  params?: P;
  query?: z.ZodType<Q>;
  body?: BodyReader<B>;
  answers: A;
  /** Stable codes this route answers besides those every route may answer. */
  problems?: readonly ProblemCode[];
  /** What `meta` holds beside an answer's data; lists need not say. */
  meta?: z.ZodType;
  /**
   * How often it may be asked: with the other routes of its kind, counted by the API key, the person
   * or, for who is neither, the network. Routes of people are of kind `api`, public ones of `none`,
   * unless they say otherwise.
   */
  limit?: RateLimitKind | 'none';
  /** Whom else the body names, to be counted too: the address somebody tries to log in with. */
  limitedAddress?(body: B): string;
  /**
   * Honours Idempotency-Key; every POST that creates or sends has it. `sealed`: its answers are kept
   * so that nobody can read them.
   */
  idempotent?: boolean | 'sealed';
  /**
   * For what is dangerous: only whoever has just shown a second factor, or the password where there
   * is none, may do it; see middleware/stepUp.ts. No API key may.
   */
  stepUp?: boolean;
}

/** A request that was read and checked, ready to run. */
export interface Call {
  /** A digest of the body's bytes. */
  readonly bodyDigest: Buffer;
  /** Whom the body names, to be counted beside the caller. */
  readonly limitedAddress: string | undefined;
  run(): Promise<AnyReply>;
  /** Lets go of what the body holds; after it the call cannot run. */
  release(): Promise<void>;
}

/** A route as the router and the OpenAPI document see it. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly description: string | undefined;
  readonly tags: readonly string[];
  readonly permission: Permission | 'public';
  readonly params: ParamSpecs;
  readonly query: z.ZodType | undefined;
  readonly body: BodyReader<unknown> | undefined;
  readonly answers: Answers;
  readonly problems: readonly ProblemCode[];
  readonly meta: z.ZodType | undefined;
  readonly idempotent: boolean | 'sealed';
  readonly stepUp: boolean;
  readonly limit: RateLimitKind | 'none';
  read(context: ApiContext, deps: ApiDeps): Promise<Call>;
}

export const basePath = '/api/v1';

/** A route for people and API keys: authenticated, authorized for `permission`, inside their tenant. */
export function route<
  const P extends ParamSpecs,
  const A extends Answers,
  Q = undefined,
  B = undefined,
>(
  declaration: Declaration<P, Q, B, A> & {
    permission: TenantAction;
    handler(request: TenantRequest<P, Q, B>): Promise<Reply<A>>;
  },
): Route {
  const erased: ErasedDeclaration & ErasedTenantHandler = declaration;
  return assemble(erased, declaration.permission, (request) => erased.handler(inTenantOf(request)));
}

/** A route for whoever is signed in: about themselves, so that no tenant is asked for. No API key opens it. */
export function userRoute<
  const P extends ParamSpecs,
  const A extends Answers,
  Q = undefined,
  B = undefined,
>(
  declaration: Declaration<P, Q, B, A> & {
    permission: OwnAction;
    handler(request: UserRequest<P, Q, B>): Promise<Reply<A>>;
  },
): Route {
  const erased: ErasedDeclaration & ErasedUserHandler = declaration;
  return assemble(erased, declaration.permission, (request) => erased.handler(ofUser(request)));
}

/** A route for platform admins: it sees all tenants. */
export function adminRoute<
  const P extends ParamSpecs,
  const A extends Answers,
  Q = undefined,
  B = undefined,
>(
  declaration: Declaration<P, Q, B, A> & {
    permission: PlatformAction;
    handler(request: AdminRequest<P, Q, B>): Promise<Reply<A>>;
  },
): Route {
  const erased: ErasedDeclaration & ErasedAdminHandler = declaration;
  return assemble(erased, declaration.permission, (request) => erased.handler(ofAdmin(request)));
}

/** A route for anyone: no token is asked for. */
export function publicRoute<
  const P extends ParamSpecs,
  const A extends Answers,
  Q = undefined,
  B = undefined,
>(
  declaration: Declaration<P, Q, B, A> & {
    handler(request: PublicRequest<P, Q, B>): Promise<Reply<A>>;
  },
): Route {
  const erased: ErasedDeclaration & ErasedPublicHandler = declaration;
  return assemble(erased, 'public', (request) => erased.handler(request));
}

// Here the types of one route end: what its schemas gave is what its handler takes, because both
// come from one declaration. Handlers are methods, whose parameters TypeScript compares both ways.
type ErasedDeclaration = Declaration<ParamSpecs, unknown, unknown, Answers>;
type ErasedRequest = PublicRequest<ParamSpecs, unknown, unknown>;
interface ErasedTenantHandler {
  handler(request: TenantRequest<ParamSpecs, unknown, unknown>): Promise<AnyReply>;
}
interface ErasedUserHandler {
  handler(request: UserRequest<ParamSpecs, unknown, unknown>): Promise<AnyReply>;
}
interface ErasedAdminHandler {
  handler(request: AdminRequest<ParamSpecs, unknown, unknown>): Promise<AnyReply>;
}
interface ErasedPublicHandler {
  handler(request: ErasedRequest): Promise<AnyReply>;
}

function assemble(
  declaration: ErasedDeclaration,
  permission: Permission | 'public',
  handle: (request: ErasedRequest) => Promise<AnyReply>,
): Route {
  const params = declaration.params ?? {};
  const stepUp = declaration.stepUp ?? false;
  const problems = declaration.problems ?? [];
  return {
    method: declaration.method,
    path: declaration.root === true ? declaration.path : basePath + declaration.path,
    name: declaration.name,
    summary: declaration.summary,
    description: declaration.description,
    tags: declaration.tags,
    permission,
    params,
    query: declaration.query,
    body: declaration.body,
    answers: declaration.answers,
    problems: stepUp ? [...problems, 'stepUpRequired'] : problems,
    meta: declaration.meta,
    idempotent: declaration.idempotent ?? false,
    stepUp,
    limit: declaration.limit ?? (permission === 'public' ? 'none' : 'api'),
    async read(context, deps) {
      const checked = {
        params: parseParams(params, context),
        query: parseQuery(declaration.query, context),
      };
      const body = await (declaration.body ?? emptyBody).read(context);
      return {
        bodyDigest: body.digest,
        limitedAddress: declaration.limitedAddress?.(body.value),
        release: async () => body.release?.(),
        run: () =>
          handle({
            deps,
            ...checked,
            body: body.value,
            requestId: context.state.requestId,
            idempotencyKey: headerOf(context, 'Idempotency-Key'),
            ifMatch: headerOf(context, 'If-Match'),
            context,
          }),
      };
    },
  };
}

function ofUser(request: ErasedRequest): UserRequest<ParamSpecs, unknown, unknown> {
  const { principal } = request.context.state;
  if (principal === undefined) {
    throw new Error('A route of users ran without authentication');
  }
  return { ...request, principal, userId: principal.userId };
}

function ofAdmin(request: ErasedRequest): AdminRequest<ParamSpecs, unknown, unknown> {
  return {
    ...ofUser(request),
    acrossTenants: (work) => acrossTenants(request.deps.db, 'platformAdmin', work),
  };
}

function inTenantOf(request: ErasedRequest): TenantRequest<ParamSpecs, unknown, unknown> {
  const ofPerson = ofUser(request);
  const { tenantId } = ofPerson.principal;
  if (tenantId === null) {
    throw new Error('A route of a tenant ran without one');
  }
  return {
    ...ofPerson,
    tenantId,
    idempotentId: request.context.state.idempotentId ?? newId,
    inTenant: (work) => withTenant(request.deps.db, tenantId, work),
  };
}

function headerOf({ req }: ApiContext, name: string): string | undefined {
  const value = req.headers[name.toLowerCase()];
  return typeof value === 'string' ? value : value?.join(', ');
}
