import { z } from 'zod';
import { planNames } from '../../domain/identity/plans';
import { statusOf } from '../middleware/problem';
import { problemKinds } from '../problemKinds';
import { hasEtag } from '../replies';
import type { Answers, Route } from '../route';
import { isSchema, type Components, type JsonSchema } from './components';
import { linksOf } from './links';

/** What the operations of one document share. */
export interface Parts {
  readonly components: Components;
  readonly problem: JsonSchema;
  readonly routes: readonly Route[];
}

/** The responses of an operation by status: its own answers and the problems it may tell. */
export function responsesOf(route: Route, parts: Parts): JsonSchema {
  const { problem } = parts;
  const problemContent = { 'application/problem+json': { schema: problem } };
  const statuses = problemStatuses(route);
  const answers = Object.entries(route.answers).map(([status, answer]) => {
    const { content, ...answered } = answerOf(answer, route, parts);
    // What is refused before it gets to the handler is no page, though the handler answers pages.
    const mayBeProblem = isSchema(content) && statuses.some((each) => String(each) === status);
    const contents = mayBeProblem ? { ...content, ...problemContent } : content;
    return [status, { ...answered, ...(contents === undefined ? {} : { content: contents }) }];
  });
  const problems = statuses.map((status) => [
    String(status),
    {
      description: descriptions[status],
      ...(status === 401 ? { headers: wwwAuthenticate } : {}),
      ...(status === 429 ? { headers: { ...rateHeaders, ...retryAfter } } : {}),
      content: problemContent,
    },
  ]);
  const unchanged = answersNotModified(route)
    ? [['304', { description: 'Not changed since the version named by If-None-Match' }]]
    : [];
  return Object.fromEntries([...problems, ['431', tooLong], ...unchanged, ...answers]);
}

// Node answers it by itself, before there is a request.
const tooLong = { description: 'Address and headers together are longer than 16 KiB; no content' };

const wwwAuthenticate = {
  'WWW-Authenticate': { description: 'How to sign in', required: true, schema: { type: 'string' } },
};
const seconds = { type: 'integer', minimum: 1 };
const retryAfter = {
  'Retry-After': { description: 'Seconds until it may be tried again', schema: seconds },
};
const rateHeaders = {
  'RateLimit-Limit': { $ref: '#/components/headers/RateLimit-Limit' },
  'RateLimit-Remaining': { $ref: '#/components/headers/RateLimit-Remaining' },
  'RateLimit-Reset': { $ref: '#/components/headers/RateLimit-Reset' },
};
const count = { type: 'integer', minimum: 0 };
/** What the headers of the limits are, once for all operations. */
export const rateHeaderComponents = {
  'RateLimit-Limit': { description: 'How often this kind may be asked a minute', schema: count },
  'RateLimit-Remaining': {
    description: 'How often it may be asked until the reset',
    schema: count,
  },
  'RateLimit-Reset': { description: 'Seconds until the count begins anew', schema: seconds },
};

const etag = {
  ETag: { description: 'Changes with what is shown', required: true, schema: { type: 'string' } },
};

// A limit may be off, so its headers are not said to be required.
function headersOf(route: Route, answer: Answers[number]): JsonSchema {
  const headers = {
    ...(route.limit === 'none' ? {} : rateHeaders),
    ...(answer instanceof z.ZodType && hasEtag(route) ? etag : {}),
  };
  return Object.keys(headers).length === 0 ? {} : { headers };
}

/** Whether it answers 304 to who has this version already. */
export function answersNotModified(route: Route): boolean {
  const isJson = Object.values(route.answers).some((answer) => answer instanceof z.ZodType);
  return route.method === 'get' && isJson && hasEtag(route);
}

function answerOf(answer: Answers[number], route: Route, parts: Parts): JsonSchema {
  const { components, routes } = parts;
  if (answer === null) {
    return { description: 'Done; no content', ...headersOf(route, answer) };
  }
  if ('raw' in answer) {
    const { content: raw } = answerOf(answer.raw, route, parts);
    const { content, ...rest } = answerOf(answer.data, route, parts);
    return { ...rest, content: { ...objectOf(content), ...objectOf(raw) } };
  }
  if (!(answer instanceof z.ZodType)) {
    const types = [answer.contentType, ...answer.otherTypes];
    const content = Object.fromEntries(types.map((type) => [type, { schema: {} }]));
    return { description: 'Done', ...headersOf(route, answer), content };
  }
  const whole = components.schemaOf(answer, 'output');
  const data = hasFields(route) ? components.partOf(whole) : whole;
  const metaSchema = route.meta ?? (data['type'] === 'array' ? ListMeta : undefined);
  const links = linksOf(route, answer, routes);
  return {
    description: 'Done',
    ...(Object.keys(links).length === 0 ? {} : { links }),
    ...headersOf(route, answer),
    content: {
      'application/json': {
        schema: {
          type: 'object',
          required: metaSchema === undefined ? ['data'] : ['data', 'meta'],
          properties: {
            data,
            ...(metaSchema === undefined
              ? {}
              : { meta: components.schemaOf(metaSchema, 'output') }),
          },
        },
      },
    },
  };
}

function objectOf(value: unknown): JsonSchema {
  return isSchema(value) ? value : {};
}

// Who asks for some fields gets no others.
function hasFields({ query }: Route): boolean {
  return query instanceof z.ZodObject && 'fields' in query.shape;
}

const ListMeta = z
  .object({
    page: z.int().optional(),
    perPage: z.int(),
    total: z.int().optional(),
    pages: z.int().optional(),
    nextCursor: z.string().nullable().optional(),
  })
  .meta({ id: 'ListMeta' });

const descriptions = {
  400: 'Malformed',
  401: 'No valid access token',
  402: 'Not in this plan, or its limit is reached',
  403: 'Not allowed for your role',
  404: 'There is no such thing in your tenant',
  405: 'Not by this method',
  408: 'The body did not come in time',
  409: 'Not possible in the present state',
  412: 'Changed since you read it',
  413: 'Too large',
  415: 'Of a type that is not read here',
  422: 'Some fields are not right',
  429: 'Too often; see Retry-After',
  500: 'Our fault',
  502: 'The provider failed, or did not say what became of it',
  503: 'Not available right now',
} as const satisfies Record<(typeof statusOf)[keyof typeof statusOf] | 500, string>;

function problemStatuses(route: Route): (keyof typeof descriptions)[] {
  // Where no body is wanted, one that comes is looked at all the same.
  const mayHaveBody = route.method !== 'get';
  const isChange = route.method === 'put' || route.method === 'patch';
  const conditions: [keyof typeof descriptions, boolean][] = [
    [400, true],
    [401, route.permission !== 'public'],
    [403, route.permission !== 'public'],
    [404, Object.keys(route.params).length > 0],
    [408, mayHaveBody],
    [409, route.idempotent !== false],
    [412, isChange],
    [413, mayHaveBody],
    [415, mayHaveBody],
    [422, true],
    [429, route.limit !== 'none'],
    [500, true],
    [503, true],
  ];
  const always = conditions.filter(([, applies]) => applies).map(([status]) => status);
  const own = route.problems.map((code) => statusOf[problemKinds[code]]);
  return [...new Set([...always, ...own])];
}

/** RFC 9457, as the document says it. */
export const Problem = z
  .object({
    type: z.string().meta({ format: 'uri' }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().meta({ description: 'Stable: programs may rely on it' }),
    requestId: z.string(),
    errors: z
      .array(z.object({ path: z.string(), code: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'Every field that is not right' }),
    reason: z
      .string()
      .optional()
      .meta({ description: 'What lies behind the code, where one code has several reasons' }),
    requiredPlan: z
      .enum(planNames)
      .optional()
      .meta({ description: 'Of 402: a plan that would do' }),
    feature: z.string().optional().meta({ description: 'Of 402: what the plan has not' }),
    quota: z.string().optional().meta({ description: 'Of 402: which limit is reached' }),
    used: z.int().optional().meta({ description: 'Of 402: how much of it is used and reserved' }),
    limit: z.int().nullable().optional(),
  })
  .meta({ id: 'Problem' });
