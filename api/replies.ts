import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { ApiContext } from './context';
import { etagOf, names } from './etags';
import type { AnyReply, Route } from './route';

/** An answer as it leaves: what is stored for an Idempotency-Key, and what is sent. */
export interface RenderedReply<Body = string | Buffer | Readable | null> {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Body;
  /** What a repetition is answered, where that is not the body: what is shown once is not kept. */
  readonly kept?: string;
}

/** Turns a handler's reply into bytes and headers by what the route declared for its status. */
export function render(
  route: Route,
  reply: AnyReply,
  options: { fields: readonly string[] | undefined; isChecked: boolean },
): RenderedReply {
  const declared = declaredFor(route, reply);
  if (declared === undefined) {
    throw new Error(`${route.name} answered ${reply.status}, which it does not declare`);
  }
  if (declared === null) {
    return { status: reply.status, headers: { ...reply.headers }, body: null };
  }
  if (!(declared instanceof z.ZodType)) {
    return {
      status: reply.status,
      headers: { 'Content-Type': declared.contentType, ...reply.headers },
      body: reply.body ?? null,
    };
  }
  if (options.isChecked) {
    // The document is made of these schemas: an answer that breaks them is a bug of ours.
    declared.parse(reply.data);
    route.meta?.parse(reply.meta);
  }
  const data = options.fields === undefined ? reply.data : pick(reply.data, options.fields);
  const textWith = (shown: unknown) =>
    JSON.stringify(reply.meta === undefined ? { data: shown } : { data: shown, meta: reply.meta });
  return {
    status: reply.status,
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      ...(hasEtag(route) ? { ETag: reply.etag ?? etagOfReply(reply) } : {}),
      ...reply.headers,
    },
    body: textWith(data),
    ...(reply.repeated === undefined ? {} : { kept: textWith(reply.repeated) }),
  };
}

// Where an answer may be either, what the handler gave says which it is.
function declaredFor({ answers }: Route, reply: AnyReply) {
  const answer = answers[reply.status];
  if (answer === undefined || answer === null || !('raw' in answer)) {
    return answer;
  }
  return reply.body === undefined ? answer.data : answer.raw;
}

/** Sends it; a caller who has this version already is told so. */
export function send(context: ApiContext, reply: RenderedReply): void {
  context.status = reply.status;
  context.set(reply.headers);
  const etag = reply.headers['ETag'];
  const known = context.get('If-None-Match');
  const isRead = context.method === 'GET' || context.method === 'HEAD';
  if (isRead && etag !== undefined && known !== '' && names(known, etag)) {
    context.status = 304;
    context.remove('Content-Type');
    return;
  }
  context.body = reply.body;
  if (reply.headers['Content-Type'] !== undefined) {
    context.set('Content-Type', reply.headers['Content-Type']);
  }
}

/** Whether its JSON answers have an ETag. Lists have one too: a poller of an unchanged page gets 304. */
export function hasEtag(route: Route): boolean {
  return route.permission !== 'public' && route.method !== 'post' && route.method !== 'delete';
}

// A page shows its counts too: they may change while its rows do not.
function etagOfReply({ data, meta }: AnyReply): string {
  return etagOf(meta === undefined ? data : { data, meta });
}

function pick(data: unknown, fields: readonly string[]): unknown {
  if (Array.isArray(data)) {
    return data.map((item: unknown) => pick(item, fields));
  }
  if (typeof data !== 'object' || data === null) {
    return data;
  }
  return Object.fromEntries(Object.entries(data).filter(([name]) => fields.includes(name)));
}
