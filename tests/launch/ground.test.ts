import { createTestDatabase, startPostgres } from '../support/postgres';
import { startTemporal, temporalAddress, testNamespace } from '../support/temporal';
import { isTemporalReady } from '../../workers/launch/temporalServer';
import { isAlive } from '../../lib/processes';
import { createDatabase } from '../../lib/db';

describe('the ground tests stand on', () => {
  test('gives each file a migrated database of its own', async () => {
    const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    try {
      const id = '0190b6a0-0000-7000-8000-000000000001';
      await one.db('tenants').insert({ id, name: 'Only here' });
      const found = await Promise.all([one, two].map(({ db }) => db('tenants').where({ id })));
      expect(found.map(({ length }) => length)).toEqual([1, 0]);
    } finally {
      await Promise.all([one.drop(), two.drop()]);
    }
  });

  test('shares a Temporal server that knows the namespace', async () => {
    expect(await isTemporalReady(temporalAddress(), testNamespace)).toBe(true);
  });

  test('a Postgres that was killed comes back with what was committed', async () => {
    const postgres = await startPostgres();
    const db = createDatabase({ url: postgres.url, applicationName: 'fault-test' });
    try {
      await db.raw('create table kept (id int primary key)');
      await db.raw('insert into kept values (1)');
      const firstPid = postgres.pid;
      await postgres.kill9();
      expect(isAlive(firstPid)).toBe(false);
      await postgres.restart();
      expect(postgres.pid).not.toBe(firstPid);
      expect(await db('kept')).toEqual([{ id: 1 }]);
    } finally {
      await db.destroy();
      await postgres.stop();
    }
  });

  test('a Temporal server that was killed comes back on its file', async () => {
    const temporal = await startTemporal();
    try {
      await temporal.kill9();
      expect(await isTemporalReady(temporal.address, testNamespace)).toBe(false);
      await temporal.restart();
      expect(await isTemporalReady(temporal.address, testNamespace)).toBe(true);
    } finally {
      await temporal.stop();
    }
    expect(isAlive(temporal.pid)).toBe(false);
  });
});
