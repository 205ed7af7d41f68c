import type { Payload } from '@temporalio/common';
import { Secret, TOTP } from 'otpauth';
import { createRateLimits } from '../../../api/rateLimits';
import { loadConfig } from '../../../lib/config';
import { newId } from '../../../lib/ids';
import { encryptPayload } from '../../../lib/payloadCodec';
import { newTotpSecret } from '../../../lib/totp';
import { acrossTenants } from '../../../models/base';
import { countAttempt } from '../../../models/identity/attempts';
import { enableMfa, proposeMfa } from '../../../models/identity/mfa';
import { rotateDataKey } from '../../../models/identity/dataKeys';
import { testSealing } from '../../support/accounts';
import {
  buildPerson,
  startTestCodec,
  uiOrigin,
  type JsonPayload,
  type Person,
  type TestCodec,
} from '../../support/codec';
import { testDataKeys } from '../../support/dataConverter';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';
import { askWhileChanged } from '../identity/people';

let database: TestDatabase;
let codec: TestCodec;

beforeAll(async () => {
  database = await createTestDatabase();
  codec = await startTestCodec(database.db);
});

afterAll(async () => {
  await codec.stop();
  await database.drop();
});

describe('who sees what', () => {
  let owner: Person;
  let other: Person;
  let ofOwner: JsonPayload;
  let ofPlatform: JsonPayload;

  beforeAll(async () => {
    [owner, other] = await Promise.all([buildPerson(database.db), buildPerson(database.db)]);
    ofOwner = await encrypted(owner.tenantId, { campaignId: 'c1' });
    ofPlatform = await encrypted(null, { standing: 'work' });
  });

  test('an owner sees what is of their tenant, and the rest stays as it is', async () => {
    const cookie = await codec.cookieOf(owner);
    const answer = await codec.ask('decode', [ofOwner, ofPlatform], cookie);
    expect(answer.status).toBe(200);
    const { payloads } = answer;
    expect(valueOf(payloads[0])).toEqual({ campaignId: 'c1' });
    expect(payloads[1]).toEqual(ofPlatform);
  });

  test('the owner of another tenant sees none of it', async () => {
    const answer = await codec.ask('decode', [ofOwner], await codec.cookieOf(other));
    expect(answer).toEqual({ status: 200, payloads: [ofOwner] });
  });

  test('a platform admin sees all of it', async () => {
    const admin = await buildPerson(database.db, { isPlatformAdmin: true });
    const cookie = await codec.cookieOf(admin);
    const { payloads } = await codec.ask('decode', [ofOwner, ofPlatform], cookie);
    expect(payloads.map(valueOf)).toEqual([{ campaignId: 'c1' }, { standing: 'work' }]);
  });

  test('a viewer may read none, not even of their own tenant', async () => {
    const viewer = await buildPerson(database.db, { role: 'viewer' });
    const own = await encrypted(viewer.tenantId, 'x');
    const cookie = await codec.cookieOf(viewer);
    for (const what of ['decode', 'encode'] as const) {
      const answer = await codec.ask(what, [own], cookie);
      expect([answer.status, answer.code]).toEqual([403, 'forbidden']);
    }
  });

  test.each(['decode', 'encode'] as const)('nobody may %s without a session', async (what) => {
    for (const cookie of [undefined, 'carillon_codec=made-up', `carillon_codec=${newId()}`]) {
      const answer = await codec.ask(what, [ofOwner], cookie);
      expect([answer.status, answer.code]).toEqual([401, 'notSignedIn']);
    }
  });

  test('whoever loses the role, the tenant or the account sees nothing from that moment', async () => {
    const { db } = database;
    const person = await buildPerson(db);
    const own = await encrypted(person.tenantId, 'x');
    const cookie = await codec.cookieOf(person);
    const status = async () => (await codec.ask('decode', [own], cookie)).status;
    expect(await status()).toBe(200);

    await db('memberships').where({ user_id: person.userId }).update({ role: 'viewer' });
    expect(await status()).toBe(403);
    await db('memberships').where({ user_id: person.userId }).update({ role: 'member' });
    expect(await status()).toBe(200);
    await db('tenants').where({ id: person.tenantId }).update({ suspended_at: db.fn.now() });
    expect(await status()).toBe(403);
    await db('users').where({ id: person.userId }).update({ suspended_at: db.fn.now() });
    expect(await status()).toBe(401);
  });

  test('a key that was replaced goes on being read', async () => {
    await rotateDataKey(database.db, testSealing, owner.tenantId);
    const cookie = await codec.cookieOf(owner);
    const { payloads } = await codec.ask('decode', [ofOwner], cookie);
    expect(valueOf(payloads[0])).toEqual({ campaignId: 'c1' });
  });

  test('what is clear or broken comes back as it was, beside what opens', async () => {
    const clear = { metadata: { encoding: base64('json/plain') }, data: base64('1') };
    const broken = { ...ofOwner, data: base64('not what it was, and long enough to be something') };
    const cookie = await codec.cookieOf(owner);
    const { payloads } = await codec.ask('decode', [clear, broken, ofOwner], cookie);
    expect(payloads.slice(0, 2)).toEqual([clear, broken]);
    expect(valueOf(payloads[2])).toEqual({ campaignId: 'c1' });
  });

  test('looks for each key once, and for no more once too many were made up', async () => {
    const asked: string[] = [];
    const real = testDataKeys(database.db);
    const byId = (keyId: string) => {
      asked.push(keyId);
      return real.byId(keyId);
    };
    const counting = await startTestCodec(database.db, { dataKeys: { ...real, byId } });
    try {
      const madeUp = Array.from({ length: 250 }, () => {
        const metadata = { ...ofOwner.metadata, 'encryption-key-id': base64(newId()) };
        return { ...ofOwner, metadata };
      });
      const cookie = await counting.cookieOf(owner);
      const all = [ofOwner, ...madeUp, ...madeUp, ofOwner];
      const { payloads } = await counting.ask('decode', all, cookie);
      expect(payloads.slice(1, -1)).toEqual([...madeUp, ...madeUp]);
      expect([payloads[0], payloads.at(-1)].map(valueOf)).toEqual(
        Array(2).fill({ campaignId: 'c1' }),
      );
      expect(asked).toHaveLength(201);
      expect(new Set(asked).size).toBe(201);
    } finally {
      await counting.stop();
    }
  });

  test('what somebody enters is encrypted with a key of theirs', async () => {
    const cookie = await codec.cookieOf(owner);
    const clear = { metadata: { encoding: base64('json/plain') }, data: base64('"go"') };
    const encodedAnswer = await codec.ask('encode', [clear], cookie);
    expect(encodedAnswer.payloads[0]?.metadata['encoding']).toBe(base64('binary/encrypted'));
    const keyId = text(encodedAnswer.payloads[0]?.metadata['encryption-key-id'] ?? '');
    expect((await testDataKeys(database.db).byId(keyId)).tenantId).toBe(owner.tenantId);
    const back = await codec.ask('decode', encodedAnswer.payloads, cookie);
    expect(valueOf(back.payloads[0])).toBe('go');
  });

  test('the audit log tells who was shown how much, in the log of the tenant', async () => {
    const person = await buildPerson(database.db);
    const own = await encrypted(person.tenantId, 'x');
    const cookie = await codec.cookieOf(person);
    await codec.ask('decode', [own, own, ofPlatform], cookie);
    const entries = await database
      .db('audit_log')
      .where({ actor_id: person.userId })
      .orderBy(['at', 'id']);
    expect(entries).toMatchObject([
      { action: 'codec.signedIn', tenant_id: null, ip: '127.0.0.1' },
      { action: 'workflow.decoded', tenant_id: person.tenantId, after: { payloads: 2 } },
    ]);
  });
});

describe('signing in', () => {
  test('leads to a page that says who one is and what one may read', async () => {
    const person = await buildPerson(database.db);
    const answer = await codec.signIn(person);
    expect([answer.status, answer.headers.get('Location')]).toEqual([303, '/']);
    const [, flags] = answer.headers.getSetCookie()[0]?.split(/;(.*)/) ?? [];
    expect(flags).toMatch(/HttpOnly; SameSite=Strict/);
    const home = await fetch(codec.url, { headers: { Cookie: await codec.cookieOf(person) } });
    const page = await home.text();
    expect(page).toContain(`Signed in as ${person.email}`);
    expect(page).toContain('Bells &amp; Co');
    expect(home.headers.get('Content-Security-Policy')).toContain("default-src 'none'");
  });

  test('answers the same for a wrong password and for an unknown address', async () => {
    const person = await buildPerson(database.db);
    const wrong = await codec.signIn({ ...person, password: 'not it' });
    const unknown = await codec.signIn({ email: `nobody-${newId()}@example.com`, password: 'x' });
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    const odd = await codec.signIn({ email: 'a\0@b.c', password: '\0', code: '\0' });
    expect(odd.status).toBe(401);
    const alone = (page: string) => page.replace(/value="[^"]*"/, '');
    expect(alone(await wrong.text())).toBe(alone(await unknown.text()));
    expect(wrong.headers.getSetCookie().some((line) => line.startsWith('carillon_codec='))).toBe(
      false,
    );
  });

  test('takes no form but its own', async () => {
    const { email, password } = await buildPerson(database.db);
    const { token, cookie } = await codec.form();
    const send = (headers: Record<string, string>, formToken: string) =>
      fetch(`${codec.url}/login`, {
        method: 'POST',
        redirect: 'manual',
        headers,
        body: new URLSearchParams({ formToken, email, password }),
      });
    expect((await send({ Cookie: cookie, Origin: codec.url }, newId())).status).toBe(403);
    expect((await send({ Origin: codec.url }, token)).status).toBe(403);
    expect((await send({ Cookie: cookie, Origin: 'https://evil.example' }, token)).status).toBe(
      403,
    );
    expect((await send({ Cookie: cookie, Origin: uiOrigin }, token)).status).toBe(403);
    expect((await send({ Cookie: cookie, Origin: codec.url }, token)).status).toBe(303);
  });

  test('is over after signing out, also for whoever kept the cookie', async () => {
    const person = await buildPerson(database.db);
    const session = await codec.cookieOf(person);
    const own = await encrypted(person.tenantId, 'x');
    expect((await codec.ask('decode', [own], session)).status).toBe(200);
    const { token, cookie } = await codec.form();
    const out = await fetch(`${codec.url}/logout`, {
      method: 'POST',
      redirect: 'manual',
      headers: { Cookie: `${session}; ${cookie}`, Origin: codec.url },
      body: new URLSearchParams({ formToken: token }),
    });
    expect([out.status, out.headers.get('Location')]).toEqual([303, '/login']);
    expect((await codec.ask('decode', [own], session)).status).toBe(401);
    expect(await database.db('sessions').where({ user_id: person.userId })).toMatchObject([
      { kind: 'codec', revoked_reason: 'logout' },
    ]);
  });
});

test('asks for the second factor of whoever has one, and takes each code once', async () => {
  const { db } = database;
  const person = await buildPerson(db);
  const { userId } = person;
  const secret = newTotpSecret();
  const codeAt = (at: number) =>
    new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: at });
  const recoveryCodes = await acrossTenants(db, 'identity', async (trx) => {
    await proposeMfa(trx, testSealing, { userId, secret });
    const at = new Date();
    const code = codeAt(at.getTime());
    const done = await enableMfa(trx, testSealing, { userId, sessionId: null, code, at });
    return done.kind === 'enabled' ? done.recoveryCodes : [];
  });
  const statusWith = async (code: string) => (await codec.signIn({ ...person, code })).status;

  expect(await statusWith('')).toBe(401);
  expect(await statusWith('000000')).toBe(401);
  // The one that enabled it is of this step of time and is over.
  const next = codeAt(Date.now() + 30_000);
  expect(await statusWith(next)).toBe(303);
  expect(await statusWith(next)).toBe(401);
  const [recoveryCode = ''] = recoveryCodes;
  expect(await statusWith(recoveryCode)).toBe(303);
  expect(await statusWith(recoveryCode)).toBe(401);
});

test('ten wrong passwords lock the address out, here and at the API', async () => {
  const person = await buildPerson(database.db);
  const wrong = { ...person, password: 'not it' };
  for (let index = 0; index < 10; index += 1) {
    expect((await codec.signIn(wrong)).status).toBe(401);
  }
  const right = await codec.signIn(person);
  expect([right.status, Number(right.headers.get('Retry-After')) > 60]).toEqual([429, true]);
  const subject = codec.deps.addressHash(person.email.toLowerCase());
  expect(await countAttempt(database.db, subject)).toMatchObject({ isAllowed: false });
});

test('a sign-in on its way is refused when another password is set', async () => {
  const person = await buildPerson(database.db);
  const row = { table: 'users', where: { id: person.userId }, to: { password_hash: 'another' } };
  const answer = await askWhileChanged(database, row, () => codec.signIn(person));
  expect(answer.status).toBe(401);
  expect(await database.db('sessions').where({ user_id: person.userId })).toHaveLength(0);
});

test('a suspended person does not get in', async () => {
  const { db } = database;
  const person = await buildPerson(db);
  await db('users').where({ id: person.userId }).update({ suspended_at: db.fn.now() });
  expect((await codec.signIn(person)).status).toBe(403);
});

test('a one-time password opens nothing, before or after signing in', async () => {
  const { db } = database;
  const person = await buildPerson(db, { isPlatformAdmin: true });
  const cookie = await codec.cookieOf(person);
  const own = await encrypted(person.tenantId, 'x');
  const expire = (at: unknown) =>
    db('users').where({ id: person.userId }).update({ password_expires_at: at });
  await expire(db.raw(`now() + interval '1 day'`));
  expect((await codec.signIn(person)).status).toBe(403);
  expect((await codec.ask('decode', [own], cookie)).status).toBe(401);
  await expire(null);
  expect((await codec.ask('decode', [own], cookie)).status).toBe(200);
});

test('lets nobody try passwords without end, and counts with the API', async () => {
  const { db } = database;
  const { logger } = codec.deps;
  const config = loadConfig([], { NODE_ENV: 'test', RATE_LIMIT_AUTH_PER_MIN: '3' });
  const rateLimits = createRateLimits({ config, db, logger });
  const limited = await startTestCodec(db, { rateLimits });
  try {
    const person = await buildPerson(db);
    await createRateLimits({ config, db, logger }).count('auth', 'ip:127.0.0.1');
    const statuses: number[] = [];
    for (const password of ['first', 'second', 'third']) {
      statuses.push((await limited.signIn({ ...person, password })).status);
    }
    expect(statuses).toEqual([401, 401, 429]);
    const right = await limited.signIn(person);
    expect([right.status, Number(right.headers.get('Retry-After')) > 0]).toEqual([429, true]);
  } finally {
    await limited.stop();
  }
});

describe('the edge', () => {
  test('lets the UI ask with its cookie, and no other page', async () => {
    const ask = (origin: string) =>
      fetch(`${codec.url}/codec/decode`, {
        method: 'OPTIONS',
        headers: {
          Origin: origin,
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'content-type,x-namespace',
        },
      });
    const ours = await ask(uiOrigin);
    expect([ours.status, ours.headers.get('Access-Control-Allow-Origin')]).toEqual([204, uiOrigin]);
    expect(ours.headers.get('Access-Control-Allow-Credentials')).toBe('true');
    const evil = await ask('https://evil.example');
    expect([evil.status, evil.headers.get('Access-Control-Allow-Origin')]).toEqual([403, null]);
  });

  test('refuses what is no list of payloads, and names the field', async () => {
    const cookie = await codec.cookieOf(await buildPerson(database.db));
    for (const payloads of ['x', [{ data: 'not base64!' }], [{ metadata: { a: 1 } }]]) {
      const answer = await codec.ask('decode', payloads, cookie);
      expect([answer.status, answer.errors?.[0]?.path]).toEqual([
        422,
        expect.stringMatching(/^payloads/),
      ]);
    }
  });

  test('answers /health, /ready and /metrics, 404 and 405', async () => {
    const statusOf = async (path: string, method = 'GET') =>
      (await fetch(codec.url + path, { method, redirect: 'manual' })).status;
    expect(await statusOf('/health')).toBe(200);
    expect(await statusOf('/ready')).toBe(200);
    expect(await (await fetch(`${codec.url}/metrics`)).text()).toContain('process="codec"');
    expect(await statusOf('/nothing')).toBe(404);
    expect(await statusOf('/codec/decode')).toBe(405);
    expect(await statusOf('/')).toBe(303);
  });
});

async function encrypted(tenantId: string | null, value: unknown): Promise<JsonPayload> {
  const payload: Payload = {
    metadata: { encoding: Buffer.from('json/plain') },
    data: Buffer.from(JSON.stringify(value)),
  };
  const key = await testDataKeys(database.db).current(tenantId);
  const { metadata, data } = encryptPayload(payload, key);
  return {
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([name, bytes]) => [
        name,
        Buffer.from(bytes).toString('base64'),
      ]),
    ),
    data: Buffer.from(data ?? []).toString('base64'),
  };
}

function valueOf(payload: JsonPayload | undefined): unknown {
  expect(text(payload?.metadata['encoding'] ?? '')).toBe('json/plain');
  return JSON.parse(text(payload?.data ?? ''));
}

function base64(value: string): string {
  return Buffer.from(value).toString('base64');
}

function text(value: string): string {
  return Buffer.from(value, 'base64').toString('utf8');
}
