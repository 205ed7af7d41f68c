import { createDatabase, type Knex } from '../../lib/db';
import { buildFullTenant, type FullTenant } from '../matrix/ground';
import { startTestApi, type TestApi } from '../support/api';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let database: TestDatabase;
let api: TestApi;
let mine: FullTenant;
let theirs: FullTenant;
let paths: string[];

beforeAll(async () => {
  database = await createTestDatabase();
  api = await startTestApi({ db: database.app });
  mine = await buildFullTenant(api, 'Magnolia');
  theirs = await buildFullTenant(api, 'Wisteria');
  const { body } = await api.send('get', '/openapi.json');
  paths = Object.keys(body.paths).filter((path) => body.paths[path].get !== undefined);
});

afterAll(async () => {
  await api.stop();
  await database.drop();
});

// Every way in which a statement of ours says whose rows it means.
const scope = /(?<!\bset )((?:"?\w+"?\.)?"?tenant_id"?) = (\$\d+|cast\(\$\d+ as uuid\))(?!,)/gi;
const becomesTenant = `, set_config('role', 'carillon_tenant', true)`;

/** A pool whose statements forget on their way to the server whose rows they meant. */
function forgetful(
  url: string,
  options: { isSuperuser: boolean },
): { db: Knex; forgotten: Set<string> } {
  const forgotten = new Set<string>();
  const db = createDatabase({ url, applicationName: 'carillon-test-forgetful' });
  const forget = (text: string) => {
    const without = text.replace(scope, '($1 = $2 or true)');
    if (without !== text) {
      forgotten.add(text);
    }
    return options.isSuperuser ? without.replace(becomesTenant, '') : without;
  };
  const connect = db.client.acquireRawConnection.bind(db.client);
  db.client.acquireRawConnection = async () => {
    const connection = await connect();
    const query = connection.query.bind(connection);
    connection.query = (config: unknown, ...rest: unknown[]) => {
      if (typeof config === 'string') {
        return query(forget(config), ...rest);
      }
      if (typeof config === 'object' && config !== null) {
        const text: unknown = Reflect.get(config, 'text');
        Reflect.set(config, 'text', forget(String(text)));
      }
      return query(config, ...rest);
    };
    return connection;
  };
  return { db, forgotten };
}

/** What an API on this pool tells my tenant's owner of the other one, by the path that was asked. */
async function leaks(db: Knex): Promise<Record<string, string[]>> {
  const other = await startTestApi({ db, accessTokens: api.deps.accessTokens });
  const found: Record<string, string[]> = {};
  try {
    // With their ids, and with mine: what is listed beneath them may be theirs, too.
    for (const [path, { ids }] of paths.flatMap((path) => [
      [path, theirs] as const,
      [path, mine] as const,
    ])) {
      const asked = pathOf(path, ids);
      const token = await mine.token('owner');
      const { text } = await other.send('get', asked, { token });
      const secrets = [theirs.secretName, theirs.tenantId, ...Object.values(theirs.ids)].filter(
        (each) => each.length > 5 && !asked.includes(each),
      );
      const told = secrets.filter((each) => text.toLowerCase().includes(each.toLowerCase()));
      if (told.length > 0) {
        found[asked] = told;
      }
    }
  } finally {
    await other.stop();
  }
  return found;
}

function pathOf(path: string, ids: FullTenant['ids']): string {
  return path.replace(/\{(\w+)\}/g, (parameter, _, offset: number) => {
    const known = path.slice(0, offset).replace(/^\/api\/v1/, '') + parameter;
    return ids[known] ?? 'nobody';
  });
}

test('without the scope of any statement nothing of another tenant is told', async () => {
  const { db, forgotten } = forgetful(database.url, { isSuperuser: false });
  try {
    expect(await leaks(db)).toEqual({});
    expect(forgotten.size).toBeGreaterThan(20);
  } finally {
    await db.destroy();
  }
});

test('and that is the doing of the walls: where they do not stand, it is told', async () => {
  const { db, forgotten } = forgetful(database.adminUrl, { isSuperuser: true });
  try {
    const told = await leaks(db);
    expect(Object.keys(told).length).toBeGreaterThan(10);
    expect(Object.keys(told)).toEqual(
      expect.arrayContaining(['/api/v1/customers', '/api/v1/campaigns', '/api/v1/suppressions']),
    );
    expect(forgotten.size).toBeGreaterThan(20);
  } finally {
    await db.destroy();
  }
});
