import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { newId } from '../../../lib/ids';
import { createSealing } from '../../../lib/sealing';
import {
  accessTokensOf,
  loadSigningKeys,
  rotateSigningKeys,
} from '../../../models/identity/signingKeys';
import { startTestApi, type TestApi } from '../../support/api';
import { until } from '../../support/conditions';
import { buildTenant, type TestTenant } from '../../support/factories';

let api: TestApi;
let tenant: TestTenant;

beforeAll(async () => {
  api = await startTestApi();
  tenant = await buildTenant(api.deps);
});

afterAll(() => api.stop());

function getMe(token: string) {
  return api.send('get', '/api/v1/users/me', { token });
}

async function publishedKeys(): Promise<(JsonWebKey & { kid: string })[]> {
  return JSON.parse((await api.send('get', '/.well-known/jwks.json')).text).keys;
}

function claimsOf(token: string): jwt.JwtPayload {
  const claims = jwt.decode(token);
  if (claims === null || typeof claims === 'string') {
    throw new Error('The token holds no claims');
  }
  return claims;
}

function kidOf(token: string): string | undefined {
  return jwt.decode(token, { complete: true })?.header.kid;
}

/** A session's token by whatever key signs now. */
async function freshToken(): Promise<string> {
  const sessionId = newId();
  await api.db('sessions').insert({
    id: sessionId,
    user_id: tenant.userId,
    tenant_id: tenant.tenantId,
    expires_at: api.db.raw(`now() + interval '1 day'`),
  });
  return api.deps.accessTokens.issue({ ...tenant, sessionId });
}

describe('the key set', () => {
  test('is published without the private halves and verifies our tokens', async () => {
    const answer = await api.send('get', '/.well-known/jwks.json');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('Cache-Control')).toBe('public, max-age=120');

    const keys = await publishedKeys();
    const key = keys.find(({ kid }) => kid === kidOf(tenant.token));
    expect(key).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
    expect(keys.filter((each) => 'd' in each)).toEqual([]);
    const publicKey = createPublicKey({ key: key ?? {}, format: 'jwk' });
    expect(jwt.verify(tenant.token, publicKey, { algorithms: ['ES256'] })).toMatchObject({
      sub: tenant.userId,
    });
  });

  test('is sealed at rest', async () => {
    const [row] = await api.db('signing_keys');
    expect(row.private_key).toMatch(/^1\.test\./);
    expect(JSON.stringify(row)).not.toContain('PRIVATE KEY');
  });

  test('has one first key, however many processes start at once', async () => {
    await api.db('signing_keys').delete();
    const processes = Array.from({ length: 6 }, () =>
      accessTokensOf(api.deps.db, api.deps.sealing),
    );
    await Promise.all(processes.map((each) => each.reload()));
    processes.forEach((each) => each.close());
    expect(await api.db('signing_keys')).toHaveLength(1);
    await api.deps.accessTokens.reload();
  });

  test('gets a new key when those it has cannot be opened any more', async () => {
    const other = createSealing([{ id: 'other', key: Buffer.alloc(32, 9) }]);
    const tokens = accessTokensOf(api.deps.db, other);
    await tokens.reload();
    const issued = tokens.issue({ userId: newId(), sessionId: newId(), tenantId: null });
    tokens.close();

    // What was signed before still verifies: public halves are not sealed.
    expect(await tokens.verify(await freshToken())).not.toBeNull();
    expect(await api.deps.accessTokens.verify(issued)).not.toBeNull();
  });
});

describe('a token', () => {
  test.each<[string, (key: JsonWebKey & { kid: string }) => string]>([
    [
      'without a signature',
      ({ kid }) => jwt.sign(claimsOf(tenant.token), '', { algorithm: 'none', keyid: kid }),
    ],
    [
      'by HMAC with the public key as its secret',
      (key) => {
        const pem = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
        const header = part({ alg: 'HS256', typ: 'JWT', kid: key.kid });
        const body = part(claimsOf(tenant.token));
        return `${header}.${body}.${createHmac('sha256', pem).update(`${header}.${body}`).digest('base64url')}`;
      },
    ],
    ['by a key of its own that it brings along', () => ownKeyToken({ header: 'jwk' })],
    ['by a key of its own under the id of ours', ({ kid }) => ownKeyToken({ kid })],
    ['by a key that nobody knows', () => ownKeyToken({ kid: 'A'.repeat(43) })],
    ['with another body', () => changedBody(tenant.token)],
  ])('%s is refused', async (_, forge) => {
    const [key] = await publishedKeys();
    if (key === undefined) {
      throw new Error('No key is published');
    }
    const answer = await getMe(forge(key));
    expect(answer.status).toBe(401);
    expect(answer.body.code).toMatch(/^token(Invalid|Missing)$/);
  });

  test('is refused when it is over', async () => {
    const short = accessTokensOf(api.deps.db, api.deps.sealing, { lifetimeSeconds: -1 });
    await short.reload();
    const answer = await getMe(
      short.issue({ ...tenant, sessionId: claimsOf(tenant.token)['sid'] }),
    );
    short.close();
    expect(answer.status).toBe(401);
  });
});

describe('rotation', () => {
  test('publishes the new key before it signs, and the old one verifies on', async () => {
    const before = await freshToken();
    const kid = await rotateSigningKeys(api.deps.db, api.deps.sealing);
    await api.deps.accessTokens.reload();

    expect((await publishedKeys()).map((key) => key.kid)).toContain(kid);
    expect(kidOf(await freshToken())).toBe(kidOf(before));
    const keys = await loadSigningKeys(api.deps.db, api.deps.sealing);
    expect(keys.find((key) => key.kid === kid)).toMatchObject({ verifiesForMs: null });
    const old = keys.find((key) => key.kid === kidOf(before));
    // Five minutes until the new one signs, and then the whole life of the old one's last token.
    expect(old?.verifiesForMs).toBeGreaterThan(20 * 60_000);
    expect((await getMe(before)).status).toBe(200);
  });

  test('lets no request fail while the keys change twice, and another process knows them', async () => {
    // Its key set is its own, as in a second process.
    const tokens = accessTokensOf(api.deps.db, api.deps.sealing);
    const second = await startTestApi({ db: api.deps.db, accessTokens: tokens });
    try {
      const statuses: number[] = [];
      const kids = new Set<string | undefined>();
      let isOver = false;
      const load = Array.from({ length: 6 }, async (_, index) => {
        while (!isOver) {
          const token = await freshToken();
          kids.add(kidOf(token));
          const answer = await (index % 2 === 0 ? api : second).send('get', '/api/v1/users/me', {
            token,
          });
          statuses.push(answer.status);
        }
      });
      for (let round = 0; round < 2; round += 1) {
        await rotateSigningKeys(api.deps.db, api.deps.sealing);
        // The minutes of its publication are over, and only one process has noticed the key.
        await api.db.raw(
          'update signing_keys set signs_from = clock_timestamp() where signs_from > clock_timestamp()',
        );
        await api.deps.accessTokens.reload();
        const counted = statuses.length;
        await until('requests came by the new key', () =>
          Promise.resolve(statuses.length > counted + 60),
        );
      }
      isOver = true;
      await Promise.all(load);
      expect(kids.size).toBeGreaterThanOrEqual(3);
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
    } finally {
      await second.stop();
    }
  });

  test('at once ends every token of the keys before', async () => {
    const before = await freshToken();
    await rotateSigningKeys(api.deps.db, api.deps.sealing, { atOnce: true });
    await api.deps.accessTokens.reload();

    expect((await getMe(before)).status).toBe(401);
    expect((await getMe(await freshToken())).status).toBe(200);
    expect(await publishedKeys()).toHaveLength(1);
  });

  test('by age happens once, whoever asks twice', async () => {
    const rotate = () => rotateSigningKeys(api.deps.db, api.deps.sealing, { ifOlderThanDays: 30 });
    expect(await rotate()).toBeNull();
    await api.db('signing_keys').update({
      created_at: api.db.raw(`now() - interval '31 days'`),
    });
    const made = await Promise.all([rotate(), rotate()]);
    expect(made.filter((kid) => kid !== null)).toHaveLength(1);
  });

  test('is for admins of the platform alone', async () => {
    const { token } = await buildTenant(api.deps);
    const path = '/api/v1/admin/signing-keys/rotate';
    const refused = await api.send('post', path, { token, json: {} });
    expect(refused.status).toBe(403);

    const admin = await buildTenant(api.deps);
    await api.db('users').where({ id: admin.userId }).update({ is_platform_admin: true });
    const answer = await api.send('post', path, { token: admin.token, json: {} });
    expect(answer.status).toBe(202);
    const [entry] = await api.db('audit_log').where({ action: 'signingKey.rotated' });
    expect(entry).toMatchObject({ actor_id: admin.userId, target_id: answer.body.data.kid });
  });
});

function ownKeyToken({ kid, header }: { kid?: string; header?: 'jwk' }): string {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return jwt.sign(claimsOf(tenant.token), pair.privateKey, {
    header: {
      alg: 'ES256',
      ...(kid === undefined ? {} : { kid }),
      ...(header === undefined ? {} : { jwk: pair.publicKey.export({ format: 'jwk' }) }),
    },
  });
}

function changedBody(token: string): string {
  const [header, , signature] = token.split('.');
  return `${header}.${part({ ...claimsOf(token), tenant: newId() })}.${signature}`;
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
