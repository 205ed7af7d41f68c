import { createDatabase } from '../../lib/db';
import { connectTemporal } from '../../lib/temporal';
import { freePort } from '../../workers/launch/ports';
import { inClear } from '../support/dataConverter';
import { startTestApi } from '../support/api';
import { buildTenant } from '../support/factories';

test('is ready when Postgres, Temporal and the schema are', async () => {
  const api = await startTestApi();
  try {
    expect((await api.send('get', '/health')).body).toEqual({ data: { status: 'ok' } });
    const ready = await api.send('get', '/ready');
    expect([ready.status, ready.body.data.status]).toEqual([200, 'ready']);

    await api.db('knex_migrations').where({ name: '0005_requests' }).delete();
    const behind = await api.send('get', '/ready');
    expect(behind.status).toBe(503);
    expect(behind.body.data.checks.migrations).toEqual({
      ok: false,
      detail: '0005_requests not run yet: npm run migrate',
    });
  } finally {
    await api.stop();
  }
});

test('shows its numbers by the pattern of the route, never by the path', async () => {
  const api = await startTestApi();
  try {
    const { token } = await buildTenant(api.deps);
    await api.send('get', '/api/v1/customers/0190a000-0000-7000-8000-000000000000', { token });
    await api.send('get', '/api/v1/nothing?email=a@example.com');
    const { text, headers } = await api.send('get', '/metrics');

    expect(headers.get('Content-Type')).toContain('text/plain');
    expect(text).toContain('route="/api/v1/customers/:id",status="404"');
    expect(text).toContain('route="unmatched",status="404"');
    expect(text).not.toMatch(/0190a000|example\.com/);
  } finally {
    await api.stop();
  }
});

test('answers while Temporal and Postgres are down', async () => {
  const port = await freePort();
  const db = createDatabase({
    url: `postgres://nobody@127.0.0.1:${port}/nothing`,
    applicationName: 'carillon-test',
  });
  const temporal = connectTemporal(
    {
      TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
      TEMPORAL_NAMESPACE: 'carillon',
      TEMPORAL_TLS: false,
    },
    inClear,
  );
  const api = await startTestApi({ db, temporal });
  try {
    expect((await api.send('get', '/health')).status).toBe(200);
    const ready = await api.send('get', '/ready');
    expect(ready.status).toBe(503);
    expect(ready.headers.get('Retry-After')).toBe('2');
    expect(ready.body.data.checks).toMatchObject({
      postgres: { ok: false },
      temporal: { ok: false },
      migrations: { ok: false },
    });
    const login = await api.send('post', '/api/v1/auth/login', {
      json: { email: 'a@example.com', password: 'whatever it is' },
    });
    expect([login.status, login.body.code]).toEqual([503, 'databaseUnavailable']);
    expect(login.headers.get('Retry-After')).toBe('2');
    expect(login.text).not.toContain(String(port));
  } finally {
    await api.stop();
    await db.destroy();
    await temporal.connection.close();
  }
});
