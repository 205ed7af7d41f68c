import { z } from 'zod';
import { isScope } from '../../domain/identity/permissions';
import { planNames } from '../../domain/identity/plans';
import { statusOf } from '../middleware/problem';
import type { ParamSpec } from '../parameters';
import { problemKinds } from '../problemKinds';
import { hasEtag } from '../replies';
import type { Answers, Route } from '../route';
import { Components, type JsonSchema } from './components';
import { neededText } from './permissionsPage';

/** The OpenAPI 3.1 document of the routes, made of the schemas that check their requests. */
export function openApiDocument(routes: readonly Route[]): JsonSchema {
  const components = new Components();
  const problem = components.schemaOf(Problem, 'output');
  const paths: Record<string, JsonSchema> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: operationOf(route, components, problem) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Carillon',
      version: '1.0.0',
      description:
        'Campaigns that reach each customer once, at their own hour. Answers are `{ data, meta }`; errors are problem details (RFC 9457) with a stable `code`. Who may do what is told at [/docs/permissions](/docs/permissions).',
    },
    servers: [{ url: '/' }],
    security: [{ accessToken: [] }, { apiKey: [] }],
    paths,
    components: {
      securitySchemes: {
        accessToken: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'Of a person who is signed in',
        },
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'ck_…',
          description: 'Of a program; it opens what is among its scopes',
        },
      },
      headers: rateHeaderComponents,
      schemas: components.schemas,
    },
  };
}

const Problem = z
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

function operationOf(route: Route, components: Components, problem: JsonSchema): JsonSchema {
  const description = [route.description, permissionText(route), problemsText(route)]
    .filter(Boolean)
    .join('\n\n');
  return {
    operationId: route.name,
    summary: route.summary,
    ...(description === '' ? {} : { description }),
    tags: route.tags,
    ...securityOf(route),
    parameters: parametersOf(route, components),
    ...(route.body === undefined ? {} : { requestBody: requestBodyOf(route, components) }),
    responses: responsesOf(route, components, problem),
  };
}

function permissionText({ permission }: Route): string | undefined {
  return permission === 'public' ? undefined : neededText(permission);
}

function securityOf({ permission }: Route): JsonSchema {
  if (permission === 'public') {
    return { security: [] };
  }
  return {
    'x-permission': permission,
    ...(isScope(permission) ? {} : { security: [{ accessToken: [] }] }),
  };
}

function problemsText(route: Route): string | undefined {
  return route.problems.length === 0
    ? undefined
    : `Codes of its own: ${route.problems.map((code) => `\`${code}\``).join(', ')}.`;
}

function parametersOf(route: Route, components: Components): JsonSchema[] {
  return [
    ...Object.entries(route.params).map(([name, spec]) => pathParameter(name, spec, components)),
    ...queryParameters(route, components),
    ...(route.idempotent
      ? [
          {
            name: 'Idempotency-Key',
            in: 'header',
            description: 'The same key and body get the same answer for 24 hours',
            schema: { type: 'string', minLength: 1, maxLength: 255 },
          },
        ]
      : []),
    ...(answersNotModified(route)
      ? [
          {
            name: 'If-None-Match',
            in: 'header',
            description: 'The ETag that was read: answers 304 while it is still the same',
            schema: { type: 'string' },
          },
        ]
      : []),
    ...(route.method === 'put' || route.method === 'patch'
      ? [
          {
            name: 'If-Match',
            in: 'header',
            description: 'The ETag that was read: answers 412 when it has changed since',
            schema: { type: 'string' },
          },
        ]
      : []),
  ];
}

function pathParameter(name: string, spec: ParamSpec, components: Components): JsonSchema {
  return {
    name,
    in: 'path',
    required: true,
    schema:
      typeof spec === 'string'
        ? { type: 'string', format: 'uuid' }
        : components.schemaOf(spec.schema, 'input'),
  };
}

function queryParameters(route: Route, components: Components): JsonSchema[] {
  if (route.query === undefined) {
    return [];
  }
  const { properties, required } = components.schemaOf(route.query, 'input');
  const names = Array.isArray(required) ? required : [];
  return Object.entries(isRecord(properties) ? properties : {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: names.includes(name),
    schema,
  }));
}

function requestBodyOf(route: Route, components: Components): JsonSchema {
  const { body } = route;
  const mayBeMissing = body?.mayBeMissing ?? body?.schema?.safeParse({}).success ?? false;
  return {
    required: !mayBeMissing,
    content: Object.fromEntries(
      (body?.contentTypes ?? []).map((type) => [
        type,
        body?.schema == null
          ? { schema: body?.jsonSchema ?? {} }
          : { schema: components.schemaOf(body.schema, 'input') },
      ]),
    ),
  };
}

function responsesOf(route: Route, components: Components, problem: JsonSchema): JsonSchema {
  const answers = Object.entries(route.answers).map(([status, answer]) => [
    status,
    answerOf(answer, route, components),
  ]);
  const problems = problemStatuses(route).map((status) => [
    String(status),
    {
      description: descriptions[status],
      ...(status === 429 ? { headers: { ...rateHeaders, ...retryAfter } } : {}),
      content: { 'application/problem+json': { schema: problem } },
    },
  ]);
  const unchanged = answersNotModified(route)
    ? [['304', { description: 'Not changed since the version named by If-None-Match' }]]
    : [];
  return Object.fromEntries([...problems, ...unchanged, ...answers]);
}

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
const rateHeaderComponents = {
  'RateLimit-Limit': { description: 'How often this kind may be asked a minute', schema: count },
  'RateLimit-Remaining': {
    description: 'How often it may be asked until the reset',
    schema: count,
  },
  'RateLimit-Reset': { description: 'Seconds until the count begins anew', schema: seconds },
};

// A limit may be off, so the headers are not said to be required.
function limitHeaders(route: Route): JsonSchema {
  return route.limit === 'none' ? {} : { headers: rateHeaders };
}

function answersNotModified(route: Route): boolean {
  const isJson = Object.values(route.answers).some((answer) => answer instanceof z.ZodType);
  return route.method === 'get' && isJson && hasEtag(route);
}

function answerOf(answer: Answers[number], route: Route, components: Components): JsonSchema {
  if (answer === null) {
    return { description: 'Done; no content', ...limitHeaders(route) };
  }
  if (!(answer instanceof z.ZodType)) {
    const types = [answer.contentType, ...answer.otherTypes];
    const content = Object.fromEntries(types.map((type) => [type, { schema: {} }]));
    return { description: 'Done', ...limitHeaders(route), content };
  }
  const data = components.schemaOf(answer, 'output');
  const metaSchema = route.meta ?? (data['type'] === 'array' ? ListMeta : undefined);
  return {
    description: 'Done',
    ...limitHeaders(route),
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
  const hasBody = route.body !== undefined;
  const isChange = route.method === 'put' || route.method === 'patch';
  const conditions: [keyof typeof descriptions, boolean][] = [
    [400, hasBody || route.query !== undefined],
    [401, route.permission !== 'public'],
    [403, route.permission !== 'public'],
    [404, Object.keys(route.params).length > 0],
    [408, hasBody],
    [409, route.idempotent],
    [412, isChange],
    [413, hasBody],
    [415, hasBody],
    [422, true],
    [429, route.limit !== 'none'],
    [500, true],
    [503, true],
  ];
  const always = conditions.filter(([, applies]) => applies).map(([status]) => status);
  const own = route.problems.map((code) => statusOf[problemKinds[code]]);
  return [...new Set([...always, ...own])];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
