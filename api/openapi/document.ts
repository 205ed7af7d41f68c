import { isScope } from '../../domain/identity/permissions';
import type { ParamSpec } from '../parameters';
import type { Route } from '../route';
import { Components, type JsonSchema } from './components';
import { neededText } from './permissionsPage';
import {
  answersNotModified,
  Problem,
  rateHeaderComponents,
  responsesOf,
  type Parts,
} from './responses';

/** The OpenAPI 3.1 document of the routes, made of the schemas that check their requests. */
export function openApiDocument(routes: readonly Route[]): JsonSchema {
  const components = new Components();
  const parts = { components, problem: components.schemaOf(Problem, 'output'), routes };
  const paths: Record<string, JsonSchema> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: operationOf(route, parts) };
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

function operationOf(route: Route, parts: Parts): JsonSchema {
  const { components } = parts;
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
    responses: responsesOf(route, parts),
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
            schema: { type: 'string', pattern: '^[!-~]{1,255}$' },
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
    ...(isRecord(schema) && schema['type'] === 'array' ? { style: 'form', explode: false } : {}),
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
        {
          schema:
            body?.schema == null
              ? (body?.jsonSchema ?? {})
              : components.schemaOf(body.schema, 'input'),
          ...(body?.encoding === undefined ? {} : { encoding: body.encoding }),
        },
      ]),
    ),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
