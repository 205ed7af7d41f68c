import http from 'node:http';
import { parse } from 'csv-parse/sync';
import { auditActions } from '../../../domain/identity/auditActions';
import { newId } from '../../../lib/ids';
import { withTenant } from '../../../models/base';
import { audit } from '../../../models/identity/audit';
import { startTestApi, type TestApi } from '../../support/api';
import { dataOf } from '../../support/campaigns';
import { buildTenant, type TestTenant } from '../../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

const path = '/api/v1/audit-log';

async function logOf({ token }: Pick<TestTenant, 'token'>, query = '') {
  return dataOf(await api.send('get', `${path}?sort=at${query}`, { token }), 200);
}

async function writeEntries(tenantId: string, count: number): Promise<void> {
  const entry = (n: number) => ({
    tenantId,
    actor: { kind: 'system', id: null } as const,
    action: 'import.started' as const,
    target: { kind: 'import', id: `=cmd|' /C calc'!A${n}` },
    after: { n },
  });
  await withTenant(api.deps.db, tenantId, (trx) =>
    audit(trx, ...Array.from({ length: count }, (_, n) => entry(n))),
  );
}

describe('who came in', () => {
  const person = {
    companyName: 'Bells & Co',
    email: `ana-${newId()}@example.com`,
    password: 'a long passphrase of bells',
  };

  test('a registration, a login and a wrong password are remembered with their origin', async () => {
    const headers = { 'User-Agent': 'bell-browser/1' };
    const answer = await api.send('post', '/api/v1/auth/register', { json: person, headers });
    const { accessToken: token, user } = dataOf(answer, 201);
    await api.send('post', '/api/v1/auth/login', {
      json: { email: person.email, password: 'not the passphrase' },
    });
    const entries = await logOf({ token });

    expect(entries).toMatchObject([
      { action: 'tenant.registered', actor: { kind: 'user', id: user.id } },
      {
        action: 'user.loggedIn',
        actor: { kind: 'user', id: user.id },
        ip: '127.0.0.1',
        userAgent: 'bell-browser/1',
        requestId: answer.headers.get('X-Request-Id'),
      },
      {
        action: 'user.loginFailed',
        actor: { kind: 'anonymous', id: null },
        target: { kind: 'user', id: user.id },
      },
    ]);
    expect(JSON.stringify(entries)).not.toMatch(/passphrase|ana-/);
  });

  test('an unknown address is kept as a digest that is the same again', async () => {
    const email = `nobody-${newId()}@example.com`;
    for (const written of [email, email.toUpperCase()]) {
      const json = { email: written, password: 'whatever it may be' };
      expect((await api.send('post', '/api/v1/auth/login', { json })).status).toBe(401);
    }
    const rows = await api
      .db('audit_log')
      .whereRaw(`after ->> 'addressDigest' = ?`, [api.deps.addressHash(email)]);
    expect(rows).toMatchObject([
      { action: 'user.loginFailed', tenant_id: null, target_id: null },
      { action: 'user.loginFailed', tenant_id: null, target_id: null },
    ]);
    expect(JSON.stringify(rows)).not.toContain('nobody');
  });
});

describe('what was changed', () => {
  test('an account at a vendor, without what opens it, once for a repeated request', async () => {
    const tenant = await buildTenant(api.deps);
    const { token } = tenant;
    const json = {
      vendor: 'smtp',
      channel: 'email',
      name: 'Post',
      settings: { host: 'mail.example.com', port: 587, security: 'starttls' },
      credentials: { username: 'bell', password: 'sesame-of-smtp' },
    };
    const create = { token, json, headers: { 'Idempotency-Key': 'post' } };
    const { id } = dataOf(await api.send('post', '/api/v1/provider-accounts', create), 201);
    await api.send('post', '/api/v1/provider-accounts', create);
    const account = `/api/v1/provider-accounts/${id}`;
    await api.send('patch', account, { token, json: { name: 'Mail' } });
    const credentials = { username: 'bell', password: 'another-sesame' };
    await api.send('patch', account, { token, json: { credentials } });
    await api.send('post', `${account}/default`, { token });
    await api.send('delete', `${account}/default`, { token });
    const limits = [{ per: 'second', unit: 'messages', most: 5 }];
    dataOf(await api.send('put', `${account}/limits`, { token, json: { limits } }), 200);
    await api.send('delete', account, { token });
    const entries = await logOf(tenant, `&targetId=${id}`);

    expect(entries.map((entry: { action: string }) => entry.action)).toEqual([
      'providerAccount.created',
      'providerAccount.changed',
      'providerAccount.changed',
      'providerAccount.credentialsChanged',
      'providerAccount.madeDefault',
      'providerAccount.defaultCleared',
      'providerAccount.limitsChanged',
      'providerAccount.deleted',
    ]);
    expect(entries[1]).toMatchObject({
      actor: { kind: 'user', id: tenant.userId },
      before: { name: 'Post' },
      after: { name: 'Mail' },
    });
    expect(JSON.stringify(entries)).not.toContain('sesame');
  });

  test('a suppression, with an address that only its owner knows again', async () => {
    const tenant = await buildTenant(api.deps);
    const { token } = tenant;
    const json = { address: 'kim@example.com' };
    const { id } = dataOf(await api.send('post', '/api/v1/suppressions', { token, json }), 201);
    dataOf(await api.send('post', '/api/v1/suppressions', { token, json }), 200);
    await api.send('delete', `/api/v1/suppressions/${id}`, { token });
    const entries = await logOf(tenant);

    expect(entries).toMatchObject([
      { action: 'suppression.added', target: { kind: 'suppression', id } },
      { action: 'suppression.removed', target: { kind: 'suppression', id } },
    ]);
    expect(JSON.stringify(entries)).not.toContain('kim@');
  });

  test('nothing is remembered of what was refused', async () => {
    const tenant = await buildTenant(api.deps);
    const { token } = tenant;
    const none = `/api/v1/suppressions/${newId()}`;
    expect((await api.send('delete', none, { token })).status).toBe(404);
    const rules = { quietHours: 'always' };
    const answer = await api.send('put', '/api/v1/sending-rules', { token, json: rules });
    expect(answer.status).toBe(422);
    expect(await logOf(tenant)).toEqual([]);
  });
});

describe('the list', () => {
  test('is of one tenant, by filters, newest first, page by page', async () => {
    const [tenant, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
    await writeEntries(other.tenantId, 3);
    await writeEntries(tenant.tenantId, 5);
    const { token } = tenant;
    const first = await api.send('get', `${path}?perPage=3`, { token });
    const { nextCursor } = first.body.meta;
    const second = await api.send('get', `${path}?perPage=3&cursor=${nextCursor}`, { token });
    const pages = [...dataOf(first, 200), ...dataOf(second, 200)];

    expect(new Set(pages.map((entry) => entry.after.n))).toEqual(new Set([0, 1, 2, 3, 4]));
    expect(pages.every((entry) => entry.tenantId === tenant.tenantId)).toBe(true);
    expect(await logOf(tenant, '&action=user.loggedIn')).toEqual([]);
    expect(await logOf(tenant, '&to=2020-01-01T00:00:00Z')).toEqual([]);
    expect(await logOf(tenant, '&from=2020-01-01T00:00:00Z&targetKind=import')).toHaveLength(5);
  });

  test.each([
    ['action=nothing.done', 'action'],
    ['from=yesterday', 'from'],
    ['who=me', 'who'],
  ])('refuses %s', async (query, field) => {
    const { token } = await buildTenant(api.deps);
    const answer = await api.send('get', `${path}?${query}`, { token });
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].path).toBe(field);
  });

  test.each([path, `${path}/export`])('%s is for owners', async (each) => {
    const tenant = await buildTenant(api.deps);
    expect((await api.send('get', each)).status).toBe(401);
    for (const role of ['agency', 'member', 'viewer'] as const) {
      const answer = await api.send('get', each, { token: tenant.tokenOf(role) });
      expect(answer.status).toBe(403);
    }
  });

  test('of all tenants is for platform admins', async () => {
    const tenant = await buildTenant(api.deps);
    await writeEntries(tenant.tenantId, 2);
    const all = `/api/v1/admin/audit-log?tenantId=${tenant.tenantId}`;
    const file = `/api/v1/admin/audit-log/export?format=ndjson&tenantId=${tenant.tenantId}`;
    expect((await api.send('get', all, { token: tenant.token })).status).toBe(403);
    expect((await api.send('get', file, { token: tenant.token })).status).toBe(403);

    const admin = await buildTenant(api.deps);
    await api.db('users').where({ id: admin.userId }).update({ is_platform_admin: true });
    const found = await api.send('get', all, { token: admin.token });
    expect(dataOf(found, 200)).toHaveLength(2);
    const answer = await api.send('get', file, { token: admin.token });
    expect(answer.text.trim().split('\n')).toHaveLength(2);
  });

  test('names every action in the document', async () => {
    const { body } = await api.send('get', '/openapi.json');
    const { description } = body.paths[path].get;
    for (const name of Object.keys(auditActions)) {
      expect(description).toContain(`\`${name}\``);
    }
  });
});

describe('the export', () => {
  test('is CSV that no spreadsheet runs', async () => {
    const tenant = await buildTenant(api.deps);
    await writeEntries(tenant.tenantId, 2);
    const answer = await api.send('get', `${path}/export?targetKind=import`, tenant);
    const records: Record<string, string>[] = parse(answer.text, { columns: true });

    expect(answer.headers.get('Content-Type')).toContain('text/csv');
    expect(records).toHaveLength(2);
    expect(records).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ targetId: `'=cmd|' /C calc'!A0`, after: '{"n":0}' }),
        expect.objectContaining({ targetId: `'=cmd|' /C calc'!A1`, after: '{"n":1}' }),
      ]),
    );
  });

  test('is a line an entry of what was there, and is remembered itself', async () => {
    const tenant = await buildTenant(api.deps);
    await writeEntries(tenant.tenantId, 2_500);
    const answer = await api.send('get', `${path}/export?format=ndjson`, tenant);
    const lines = answer.text.trim().split('\n');
    const numbers = lines.map((line): unknown => JSON.parse(line).after.n);

    expect(answer.headers.get('Content-Type')).toContain('application/x-ndjson');
    expect(new Set(numbers.filter((n) => n !== undefined)).size).toBe(2_500);
    expect(await logOf(tenant, '&action=audit.exported')).toMatchObject([
      { actor: { kind: 'user', id: tenant.userId }, after: { format: 'ndjson' } },
    ]);
  });

  test('reads no further than its reader does', async () => {
    const tenant = await buildTenant(api.deps);
    await writeEntries(tenant.tenantId, 20_000);
    let pages = 0;
    const count = ({ sql }: { sql: string }) => {
      pages += /from "audit_log".*limit/s.test(sql) ? 1 : 0;
    };
    api.deps.db.on('query', count);
    try {
      await new Promise<void>((resolve, reject) => {
        const url = `${api.url}${path}/export?format=ndjson`;
        const headers = { Authorization: `Bearer ${tenant.token}` };
        const request = http.get(url, { headers }, (response) => {
          response.once('readable', () => {
            response.read(1);
            response.once('close', () => resolve());
            response.destroy();
          });
        });
        request.on('error', reject);
      });
      // The next answer shows that the server has gone on; all of it would be 21 pages.
      await api.send('get', '/health');
      expect(pages).toBeGreaterThan(0);
      expect(pages).toBeLessThan(15);
    } finally {
      api.deps.db.off('query', count);
    }
  });
});
