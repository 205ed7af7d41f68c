import type { Knex } from '../../../lib/db';
import { newId } from '../../../lib/ids';
import { acrossTenants, withTenant } from '../../../models/base';
import { audit, type NewAuditEntry } from '../../../models/identity/audit';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database.drop();
});

function entryOf(tenantId: string, overrides: Partial<NewAuditEntry> = {}): NewAuditEntry {
  return {
    tenantId,
    actor: { kind: 'user', id: newId() },
    action: 'providerAccount.changed',
    target: { kind: 'providerAccount', id: 'a' },
    ...overrides,
  };
}

function entriesOf(tenantId: string) {
  return database.db('audit_log').where({ tenant_id: tenantId });
}

describe('an entry', () => {
  test('is written with the change it tells of, or not at all', async () => {
    const tenantId = newId();
    const failing = withTenant(database.db, tenantId, async (trx) => {
      await audit(trx, entryOf(tenantId));
      throw new Error('the change failed');
    });
    await expect(failing).rejects.toThrow('the change failed');
    expect(await entriesOf(tenantId)).toEqual([]);

    await withTenant(database.db, tenantId, (trx) => audit(trx, entryOf(tenantId)));
    expect(await entriesOf(tenantId)).toHaveLength(1);
  });

  test('holds no secret, whatever was given', async () => {
    const tenantId = newId();
    const origin = { ip: 'no address', userAgent: `curl\u0000${'x'.repeat(500)}` };
    await withTenant(database.db, tenantId, (trx) =>
      audit(
        trx,
        entryOf(tenantId, {
          origin,
          before: { name: 'A', credentials: { apiKey: 'SG.sesame-sesame' } },
          after: { name: 'B', password: 'sesame', nested: [{ refreshToken: 'sesame' }] },
        }),
      ),
    );
    const [row] = await entriesOf(tenantId);
    expect(JSON.stringify(row)).not.toContain('sesame');
    expect(row).toMatchObject({ before: { name: 'A' }, after: { name: 'B' }, ip: null });
    expect(row.user_agent).toHaveLength(200);
  });

  test('of what a repeated request creates is written once', async () => {
    const tenantId = newId();
    const entry = entryOf(tenantId, { id: newId(), action: 'providerAccount.created' });
    await withTenant(database.db, tenantId, (trx) => audit(trx, entry));
    await withTenant(database.db, tenantId, (trx) => audit(trx, entry));
    expect(await entriesOf(tenantId)).toHaveLength(1);
  });
});

describe('what was written', () => {
  const changes = [
    `update audit_log set action = 'user.loggedIn'`,
    'delete from audit_log',
    'truncate audit_log',
  ];

  test.each(changes)('is kept from the application in whatever role: %s', async (change) => {
    const tenantId = newId();
    await withTenant(database.app, tenantId, (trx) => audit(trx, entryOf(tenantId)));
    const asTenant = withTenant(database.app, tenantId, (trx) => trx.raw(change));
    await expect(asTenant).rejects.toThrow('permission denied for table audit_log');
    const asPlatform = acrossTenants(database.app, 'platformAdmin', (trx) => trx.raw(change));
    await expect(asPlatform).rejects.toThrow('permission denied for table audit_log');
    expect(await entriesOf(tenantId)).toMatchObject([{ action: 'providerAccount.changed' }]);
  });

  test.each(changes)('is kept from a role that was given every right on it: %s', async (change) => {
    const tenantId = newId();
    await withTenant(database.db, tenantId, (trx) => audit(trx, entryOf(tenantId)));
    const attempt = asStranger(database.db, 'all', (trx) => trx.raw(change));
    await expect(attempt).rejects.toThrow('append-only');
    expect(await entriesOf(tenantId)).toMatchObject([{ action: 'providerAccount.changed' }]);
  });
});

/** Runs the work as a role that is not the owner; role and grants end with the transaction. */
async function asStranger(
  db: Knex,
  rights: string,
  work: (trx: Knex.Transaction) => Promise<unknown>,
): Promise<void> {
  const role = `stranger_${newId().replaceAll('-', '')}`;
  await db.transaction(async (trx) => {
    await trx.raw(`create role ${role} bypassrls`);
    await trx.raw(`grant ${rights} on audit_log to ${role}`);
    await trx.raw(`set local role ${role}`);
    await work(trx);
    throw new Error('The attempt was let through');
  });
}
