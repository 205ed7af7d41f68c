import { isTenantAction, permissionsOf, scopes } from '../../domain/identity/permissions';
import { newApiKey } from '../../lib/apiKeys';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { createApiKey } from '../../models/identity/apiKeys';
import { accessTokensOf } from '../../models/identity/signingKeys';
import { startTestApi, type ApiAnswer, type TestApi } from '../support/api';
import { testSealing } from '../support/accounts';
import { bodyFor } from './bodies';
import { buildFullTenant, personOf, type FullTenant } from './ground';

jest.setTimeout(240_000);

interface Operation {
  name: string;
  method: string;
  path: string;
  id: string;
  permission: string | null;
  hasJson: boolean;
  /** What other media type its body has. */
  bodyType: string | null;
}

let api: TestApi;
let one: FullTenant;
let other: FullTenant;
let operations: Operation[];

beforeAll(async () => {
  api = await startTestApi();
  one = await buildFullTenant(api, 'Magnolia');
  other = await buildFullTenant(api, 'Wisteria');
  operations = operationsOf((await api.send('get', '/openapi.json')).body);
});

afterAll(() => api.stop());

/** Those that nobody has to sign in for: what opens them is in the path, the body or a signature. */
const isOpen = ({ permission }: Operation) => permission === null;

test('every operation says which permission it needs, or that it needs none', () => {
  const open = operations.filter(isOpen).map(({ path }) => path);
  expect(operations.length - open.length).toBeGreaterThan(60);
  // Whoever adds one that needs none has it begin like these.
  expect(open.filter((path) => !isMeantToBeOpen(path))).toEqual([]);
});

test('without a token nothing is answered', async () => {
  const before = await rowsOf(other);
  for (const operation of operations.filter((each) => !isOpen(each))) {
    const answer = await call(operation, undefined);
    expect([operation.name, answer.status]).toEqual([operation.name, 401]);
    expectNothingOf(answer, operation);
  }
  expect(await rowsOf(other)).toEqual(before);
});

test('with a token that is over nothing is answered', async () => {
  const expired = accessTokensOf(api.deps.db, testSealing, { lifetimeSeconds: -60 });
  await expired.reload();
  const owner = await personOf(api.deps.db, other, 'owner');
  const before = await rowsOf(other);
  const token = expired.issue({ ...owner, tenantId: other.tenantId });
  for (const operation of operations.filter((each) => !isOpen(each))) {
    const answer = await call(operation, token);
    expect([operation.name, answer.status]).toEqual([operation.name, 401]);
    expectNothingOf(answer, operation);
  }
  expired.close();
  expect(await rowsOf(other)).toEqual(before);
});

test('the owner of another tenant finds nothing, and changes nothing', async () => {
  const before = await rowsOf(other);
  const wrong: unknown[] = [];
  for (const operation of operations.filter((each) => !isOpen(each))) {
    const answer = await call(operation, await one.token('owner'));
    expectNothingOf(answer, operation);
    const expected = isPlatform(operation) ? [403] : foreignStatuses(operation);
    if (!expected.includes(answer.status)) {
      wrong.push([operation.name, operation.id, answer.status, answer.body?.errors ?? answer.text]);
    }
  }
  expect(wrong).toEqual([]);
  expect(await rowsOf(other)).toEqual(before);
});

test('a viewer may do what the table says, and nothing else', async () => {
  const allowed = permissionsOf('viewer');
  const tokens = await Promise.all(operations.map(() => other.token('viewer')));
  const before = await rowsOf(other);
  for (const [index, operation] of operations.entries()) {
    const { permission, name } = operation;
    if (permission === null || permission.startsWith('self:')) {
      continue;
    }
    const answer = await call(operation, tokens[index]);
    const isAllowed = isTenantAction(permission) && allowed.has(permission);
    // All that a viewer may do is to read.
    expect([name, answer.status]).toEqual([name, isAllowed ? 200 : 403]);
    expect([name, isAllowed && operation.method !== 'get']).toEqual([name, false]);
  }
  expect(await rowsOf(other)).toEqual(before);
});

test('an API key opens nothing that is not among its scopes', async () => {
  const { db } = api;
  const { userId } = await personOf(db, other, 'owner');
  const keyWithout = async (permission: string) => {
    const made = newApiKey();
    const key = { tenantId: other.tenantId, id: newId(), createdBy: userId };
    const values = {
      name: 'All but one',
      scopes: scopes.filter((scope) => scope !== permission),
      expiresAt: null,
      allowedIps: [],
    };
    await withTenant(db, other.tenantId, (trx) => createApiKey(trx, key, made, values));
    return made.key;
  };
  const permissions = new Set(operations.flatMap(({ permission }) => permission ?? []));
  const keys = new Map<string, string>();
  for (const permission of permissions) {
    keys.set(permission, await keyWithout(permission));
  }
  const before = await rowsOf(other);
  for (const operation of operations.filter((each) => !isOpen(each))) {
    const answer = await call(operation, keys.get(operation.permission ?? ''));
    expect([operation.name, answer.status]).toEqual([operation.name, 403]);
    expectNothingOf(answer, operation);
  }
  // When a key was last used, and by whom, is all that has changed.
  expect({ ...(await rowsOf(other)), api_keys: '' }).toEqual({ ...before, api_keys: '' });
});

test('of a suspended tenant nobody gets anything', async () => {
  const suspended = await buildFullTenant(api, 'Hyacinth');
  await api.db('tenants').where({ id: suspended.tenantId }).update({ suspended_at: new Date() });
  const before = await rowsOf(suspended);
  for (const operation of operations.filter(({ permission }) => isTenantAction(permission ?? ''))) {
    const token = await suspended.token('owner');
    const rows = await rowsOf(suspended);
    const answer = await call(operation, token, suspended);
    expect([operation.name, answer.status, answer.body.code]).toEqual([
      operation.name,
      403,
      'tenantSuspended',
    ]);
    expect(await rowsOf(suspended)).toEqual(rows);
  }
  expect(before).toBeDefined();
});

/** Calls it with the ids of the other tenant, and a body that names what is theirs. */
function call(operation: Operation, token: string | undefined, target = other): Promise<ApiAnswer> {
  const { method, hasJson, bodyType, id } = operation;
  const form = new FormData();
  form.append('file', new Blob(['email\nimported@example.com\n']), 'a.csv');
  return api.send(method, pathOf(operation, target), {
    token,
    ...(hasJson ? { json: bodyFor(id, target) } : {}),
    ...(bodyType === 'multipart/form-data' ? { body: form } : {}),
  });
}

function pathOf({ path, name }: Operation, target: FullTenant): string {
  return path.replace(/\{(\w+)\}/g, (parameter, _, offset: number) => {
    const known = path.slice(0, offset).replace(/^\/api\/v1/, '') + parameter;
    const id = target.ids[known];
    if (id === undefined) {
      throw new Error(`${name}: whose id is ${known}? Say so in the ground.`);
    }
    return id;
  });
}

// What has no id in its path is about whoever asks; naming what is another's in the body is refused.
function foreignStatuses({ id, path }: Operation): number[] {
  if (path.includes('{')) {
    return [404];
  }
  const named: Record<string, number[]> = {
    createCampaign: [422],
    sendMessage: [422],
    createLlmKey: [422],
    generateContent: [422],
    // Nobody has a key, and nothing is offered.
    askModel: [422, 503],
    createLlmBudget: [422],
    switchTenant: [404],
    joinTenant: [404],
    // Of the caller's own second factor, which there is none of.
    verifyMfa: [403, 409, 422],
    disableMfa: [409],
    renewRecoveryCodes: [409],
  };
  return named[id] ?? [200, 201, 202, 204];
}

function isPlatform({ permission }: Operation): boolean {
  return permission?.startsWith('platform:') === true;
}

function isMeantToBeOpen(path: string): boolean {
  const beginnings = ['/t/', '/webhooks/', '/account/', '/api/v1/auth/', '/.well-known/'];
  const paths = ['/health', '/ready', '/metrics', '/api/v1/plans'];
  return paths.includes(path) || beginnings.some((beginning) => path.startsWith(beginning));
}

// What the caller named in the body may be told back as unknown.
function expectNothingOf(answer: ApiAnswer, { name, id }: Operation): void {
  const text = answer.text.toLowerCase();
  const asked = JSON.stringify(bodyFor(id, other));
  const secrets = [other.secretName.toLowerCase(), other.tenantId, ...idsOf(other)];
  const leaked = secrets.filter((each) => text.includes(each) && !asked.includes(each));
  expect([name, leaked]).toEqual([name, []]);
}

// Numbers within a campaign are everybody's.
const idsOf = ({ ids }: FullTenant) => Object.values(ids).filter((id) => id.length > 10);

// What any request of the tenant's own people writes: that they were there, and what they used.
const ofPresence = new Set(['sessions', 'quota_usage', 'quota_reservations']);

/** A checksum of the tenant's rows in every table that has some. */
async function rowsOf({ tenantId }: FullTenant): Promise<Record<string, string>> {
  const { db } = api;
  const found = await db.raw(
    `select table_name as name from information_schema.columns
      where table_schema = 'public' and column_name = 'tenant_id' order by 1`,
  );
  const tables: string[] = found.rows.map(({ name }: { name: string }) => name);
  const sums: Record<string, string> = { tenants: await sumOf(db, 'tenants', 'id', tenantId) };
  for (const table of tables.filter((name) => !ofPresence.has(name))) {
    sums[table] = await sumOf(db, table, 'tenant_id', tenantId);
  }
  return sums;
}

async function sumOf(db: Knex, table: string, column: string, id: string): Promise<string> {
  const found = await db.raw(
    `select concat(count(*), ' ', md5(string_agg(t::text, '|' order by t::text))) as sum
       from ${table} t where ${column} = ?`,
    [id],
  );
  return found.rows[0].sum;
}

// oxlint-disable-next-line typescript/no-explicit-any -- the document is JSON of any shape
function operationsOf(document: any): Operation[] {
  return Object.entries<object>(document.paths).flatMap(([path, methods]) =>
    // oxlint-disable-next-line typescript/no-explicit-any -- so are its operations
    Object.entries<any>(methods).map(([method, spec]) => {
      const types = Object.keys(spec.requestBody?.content ?? {});
      return {
        name: `${method.toUpperCase()} ${path}`,
        method,
        path,
        id: spec.operationId,
        permission: spec['x-permission'] ?? null,
        hasJson: types.includes('application/json'),
        bodyType: types.find((type) => type !== 'application/json') ?? null,
      };
    }),
  );
}
