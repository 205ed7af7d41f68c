import { routes } from '../../api/router';
import { isTenantAction, ownActionNames } from '../../domain/identity/permissions';
import { startTestApi, type TestApi } from '../support/api';
import { buildTenant } from '../support/factories';

let api: TestApi;
// The document is JSON of any shape until the tests below have looked at it.
// oxlint-disable-next-line typescript/no-explicit-any
let document: any;

beforeAll(async () => {
  api = await startTestApi();
  document = (await api.send('get', '/openapi.json')).body;
});

afterAll(async () => {
  await api.stop();
});

/** Whoever adds a route that needs no token says so here. */
const publicOperations = [
  'GET /.well-known/jwks.json',
  'GET /account/invitation',
  'GET /account/reset',
  'GET /account/verify',
  'GET /api/v1/plans',
  'GET /health',
  'GET /metrics',
  'GET /ready',
  'POST /account/invitation',
  'POST /account/reset',
  'POST /account/verify',
  'POST /api/v1/auth/forgot',
  'POST /api/v1/auth/invitations/accept',
  'POST /api/v1/auth/login',
  'POST /api/v1/auth/mfa/login',
  'POST /api/v1/auth/refresh',
  'POST /api/v1/auth/register',
  'POST /api/v1/auth/reset',
  'POST /api/v1/auth/verify-email',
];

interface Operation {
  name: string;
  method: string;
  path: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  spec: any;
}

function operations(): Operation[] {
  return Object.entries<object>(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, spec]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method,
      path,
      spec,
    })),
  );
}

/** Every object in the document with a property of this name. */
function holdersOf(property: string, value: unknown = document): Record<string, unknown>[] {
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  const inner = Object.values(value).flatMap((item) => holdersOf(property, item));
  return Object.hasOwn(value, property) ? [{ ...value }, ...inner] : inner;
}

test('has every route once, each with an id of its own', () => {
  expect(operations()).toHaveLength(routes.length);
  expect(new Set(operations().map(({ spec }) => spec.operationId)).size).toBe(routes.length);
});

test('is OpenAPI 3.1 in what its tools rely on', () => {
  expect(document.openapi).toMatch(/^3\.1\./);
  expect(document.info).toMatchObject({ title: 'Carillon', version: expect.any(String) });
  for (const { name, path, spec } of operations()) {
    expect([name, Object.keys(spec.responses)]).not.toEqual([name, []]);
    for (const response of Object.values<{ description: string }>(spec.responses)) {
      expect(response.description).toEqual(expect.any(String));
    }
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    const declared = spec.parameters
      .filter((parameter: { in: string }) => parameter.in === 'path')
      .map((parameter: { name: string; required: boolean }) => {
        expect(parameter.required).toBe(true);
        return parameter.name;
      });
    expect([name, declared]).toEqual([name, inPath]);
  }
});

test('every reference leads somewhere', () => {
  const references = holdersOf('$ref').map(({ $ref }) => String($ref));
  expect(references.length).toBeGreaterThan(0);
  for (const reference of references) {
    expect(reference).toMatch(/^#\/components\/(schemas|headers)\/[\w-]+$/);
    const [kind = '', name] = reference.split('/').slice(2);
    expect(Object.keys(document.components[kind])).toContain(name);
  }
  expect(holdersOf('$defs')).toEqual([]);
});

test('every JSON body is closed: a field that is not named is refused', () => {
  const open = operations().flatMap(({ name, spec }) =>
    openObjects(spec.requestBody?.content['application/json']?.schema ?? {}, name),
  );
  expect(open).toEqual([]);
});

test('each route says the statuses of its own codes, and no others for them', () => {
  const statusesOf = (name: string) =>
    Object.keys(operations().find((each) => each.name === name)?.spec.responses ?? {});
  expect(statusesOf('POST /api/v1/campaigns/{id}/test-send')).toEqual(
    expect.arrayContaining(['409', '502', '503']),
  );
  expect(statusesOf('POST /webhooks/sendgrid')).toEqual(expect.arrayContaining(['400', '401']));
  expect(statusesOf('POST /webhooks/sendgrid')).not.toContain('409');
  const metrics = statusesOf('GET /api/v1/campaigns/{id}/metrics');
  expect(metrics).toEqual(expect.arrayContaining(['304', '404']));
  expect(metrics).not.toContain('409');
  expect(statusesOf('GET /health')).not.toContain('304');
});

test('schedule and steering answers say what their meta holds', () => {
  for (const [action, states] of [
    ['schedule', ['started', 'pending']],
    ['send', ['started', 'pending']],
    ['pause', ['informed', 'pending']],
    ['resume', ['informed', 'pending']],
    ['cancel', ['informed', 'pending']],
    ['reschedule', ['informed', 'pending']],
  ] as const) {
    const { responses } = document.paths[`/api/v1/campaigns/{id}/${action}`].post;
    const { meta } = responses['202'].content['application/json'].schema.properties;
    expect([action, meta.properties.workflow.enum]).toEqual([action, states]);
    expect(meta.required).toEqual(['workflowId', 'workflow']);
  }
});

test('a body is required only where none will not do', () => {
  const isRequired = (path: string) => document.paths[path].post.requestBody.required;
  expect(isRequired('/api/v1/campaigns/{id}/pause')).toBe(false);
  expect(isRequired('/t/u/{token}')).toBe(false);
  expect(isRequired('/t/p/{token}')).toBe(false);
  expect(isRequired('/api/v1/customers')).toBe(true);
  expect(isRequired('/api/v1/customers/upload')).toBe(true);
  expect(isRequired('/webhooks/sendgrid')).toBe(true);
});

test('every POST that creates or sends honours an Idempotency-Key', () => {
  const without = operations()
    .filter(({ method, spec }) => method === 'post' && spec.security?.length !== 0)
    // A key belongs to a tenant; what people do about themselves has tokens that are good once.
    .filter(({ spec }) => isTenantAction(permissionOf(spec.operationId)))
    .filter(
      ({ spec }) =>
        !spec.parameters.some((each: { name: string }) => each.name === 'Idempotency-Key'),
    )
    .map(({ name }) => name);
  expect(without).toEqual([]);
});

test('without a token every route but the public ones answers 401', async () => {
  const open = operations()
    .filter(({ spec }) => spec.security?.length === 0)
    .map(({ name }) => name);
  expect(open.filter((name) => !isPublicElsewhere(name)).sort()).toEqual(publicOperations);

  for (const { name, method, path, spec } of operations()) {
    if (spec.security?.length === 0) {
      continue;
    }
    const url = path.replace(/\{\w+\}/g, '0190a000-0000-7000-8000-000000000000');
    for (const token of [undefined, 'forged.token.here']) {
      const answer = await api.send(method, url, {
        token,
        json: method === 'get' ? undefined : {},
      });
      expect([name, answer.status]).toEqual([name, 401]);
    }
  }
});

test('a viewer changes nothing but what is their own', async () => {
  const tenant = await buildTenant(api.deps);
  const token = tenant.tokenOf('viewer');
  for (const { name, method, path, spec } of operations()) {
    if (method === 'get' || spec.security?.length === 0 || isOwn(spec.operationId)) {
      continue;
    }
    const url = path.replace(/\{\w+\}/g, '0190a000-0000-7000-8000-000000000000');
    const answer = await api.send(method, url, { token, json: {} });
    expect([name, answer.status]).toEqual([name, 403]);
  }
});

test('/docs shows it with scripts from here alone', async () => {
  const page = await api.send('get', '/docs');
  expect(page.status).toBe(200);
  expect(page.headers.get('Content-Security-Policy')).toContain("script-src 'self'");
  const sources = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(
    ([, source]) => source ?? '',
  );
  for (const source of sources) {
    expect(source).toMatch(/^\/docs\//);
    expect((await api.send('get', source)).status).toBe(200);
  }
});

function permissionOf(operationId: string): string {
  return routes.find(({ name }) => name === operationId)?.permission ?? '';
}

function isOwn(operationId: string): boolean {
  return ownActionNames.some((name) => name === permissionOf(operationId));
}

// Routes strangers' mail programs and providers call; their own tests say what they ask for instead.
function isPublicElsewhere(name: string): boolean {
  return /\/(tracking|webhooks|t)\//.test(name);
}

function openObjects(schema: Record<string, unknown>, at: string): string[] {
  const resolved = typeof schema['$ref'] === 'string' ? resolve(schema['$ref']) : schema;
  const nested = Object.entries(resolved).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null ? openObjects({ ...value }, `${at}/${key}`) : [],
  );
  return resolved['type'] === 'object' && resolved['additionalProperties'] === undefined
    ? [at, ...nested]
    : nested;
}

function resolve(reference: string): Record<string, unknown> {
  return document.components.schemas[reference.split('/').at(-1) ?? ''];
}

test('the answer of a POST links to what may be done with what it made', () => {
  const linksOf = (path: string, status: string) =>
    document.paths[path].post.responses[status].links;
  expect(linksOf('/api/v1/customers', '201').getCustomer).toEqual({
    operationId: 'getCustomer',
    parameters: { id: '$response.body#/data/id' },
  });
  expect(linksOf('/api/v1/customers/upload', '202').getImport).toEqual({
    operationId: 'getImport',
    parameters: { id: '$response.body#/data/id' },
  });
  expect(linksOf('/api/v1/campaigns/{id}/test-send', '202').getCampaignTest).toEqual({
    operationId: 'getCampaignTest',
    parameters: { id: '$request.path.id', testSendId: '$response.body#/data/id' },
  });
  // A new tenant is entered by switching to it, so that nothing is possible there at once.
  expect(linksOf('/api/v1/tenants', '201')).toBeUndefined();
});

test('an answer with some of its fields is as the document says', async () => {
  const { parameters, responses } = document.paths['/api/v1/customers'].get;
  const fields = parameters.find((each: { name: string }) => each.name === 'fields');
  expect(fields).toMatchObject({ style: 'form', explode: false, schema: { type: 'array' } });
  expect(fields.schema.items.enum).toContain('email');
  const { data } = responses['200'].content['application/json'].schema.properties;
  expect(data.items.$ref).toBe('#/components/schemas/CustomerPart');
  const { Customer, CustomerPart } = document.components.schemas;
  expect(Customer.required).toContain('email');
  expect(CustomerPart).toEqual({ ...Customer, required: undefined });
});

test('a page that may be refused before it is made says both forms of the refusal', () => {
  const { '422': refused } = document.paths['/account/reset'].post.responses;
  expect(Object.keys(refused.content)).toEqual([
    expect.stringContaining('text/html'),
    'application/problem+json',
  ]);
});

test('every link names an operation and all of its path parameters', () => {
  const byId = new Map(operations().map((each) => [each.spec.operationId, each]));
  const links = holdersOf('operationId').filter((each) => Object.hasOwn(each, 'parameters'));
  const ofLinks = links.filter((each) => !Array.isArray(each['parameters']));
  expect(ofLinks.length).toBeGreaterThan(30);
  for (const { operationId, parameters } of ofLinks) {
    const path = byId.get(operationId)?.path ?? '';
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect([operationId, Object.keys(Object(parameters))]).toEqual([operationId, inPath]);
  }
});
