import { startTestApi, type TestApi } from '../../support/api';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

const path = '/api/v1/customers';

function create(tenant: TestTenant, json: unknown, headers: Record<string, string> = {}) {
  return api.send('post', path, { token: tenant.token, json, headers });
}

function storedOf(tenant: TestTenant) {
  return api.db('customers').where({ tenant_id: tenant.tenantId });
}

function codes(errors: { path: string; code: string }[]): string[] {
  return errors.map((error) => `${error.path}: ${error.code}`);
}

describe('POST /customers', () => {
  test('keeps everything in its one form', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await create(tenant, {
      externalId: 'A-1',
      email: ' Ana.Lopez@EXAMPLE.com ',
      phone: '+34 600-123 456',
      firstName: 'Ana',
      lastName: null,
      language: 'pt-br',
      timeZone: 'asia/calcutta',
      tags: ['vip', ' vip ', 'new'],
      attributes: { shoeSize: 38, colors: ['red', 'blue'], address: { city: 'Madrid' } },
      consent: {
        email: { status: 'granted', source: 'checkout', at: '2026-01-02T03:04:05+01:00' },
      },
    });

    expect(answer.status).toBe(201);
    expect(answer.headers.get('Location')).toBe(`${path}/${answer.body.data.id}`);
    expect(answer.body.data).toMatchObject({
      externalId: 'A-1',
      email: 'Ana.Lopez@example.com',
      phone: '+34600123456',
      lastName: null,
      language: 'pt-BR',
      tags: ['vip', 'new'],
      attributes: { shoeSize: 38, colors: ['red', 'blue'], address: { city: 'Madrid' } },
      consent: {
        email: { status: 'granted', source: 'checkout', at: '2026-01-02T02:04:05.000Z' },
      },
    });
    expect(answer.body.data.timeZone).toMatch(/^Asia\/(Calcutta|Kolkata)$/);
    const read = await api.send('get', `${path}/${answer.body.data.id}`, { token: tenant.token });
    expect(read.body.data).toEqual(answer.body.data);
  });

  test('names every wrong field and writes nothing', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await create(tenant, {
      email: 'ana@',
      phone: '0600123456',
      firstName: '',
      lastName: 7,
      language: 'x',
      timeZone: 'UTC+2',
      tags: ['a', 'b'.repeat(65)],
      attributes: { a: { b: { c: 1 } } },
      consent: { email: { status: 'maybe' } },
      role: 'admin',
    });

    expect(answer.status).toBe(422);
    expect(codes(answer.body.errors)).toEqual([
      'email: wrongEmail',
      'phone: wrongPhone',
      'firstName: tooSmall',
      'lastName: wrongType',
      'language: wrongLanguage',
      'timeZone: unknownTimeZone',
      'tags.1: tooBig',
      expect.stringMatching(/^attributes\.a/),
      'consent.email.status: notAllowed',
      'role: unknownField',
    ]);
    expect(await storedOf(tenant)).toEqual([]);
  });

  test.each([
    ['a body without any identity', { firstName: 'Ana' }, 'email: identityMissing'],
    [
      'too many tags',
      { email: 'a@example.com', tags: Array.from({ length: 51 }, (_, at) => `t${at}`) },
      'tags: tooBig',
    ],
    [
      'attributes past 8 KiB',
      { email: 'a@example.com', attributes: { a: 'x'.repeat(8192) } },
      'attributes: attributesTooLarge',
    ],
    [
      'the NUL character',
      { email: 'a@example.com', firstName: 'A\u0000' },
      'firstName: nulCharacter',
    ],
    [
      'half a surrogate pair',
      { email: 'a@example.com', attributes: { a: '\ud800' } },
      'attributes.a: brokenUnicode',
    ],
    ['an array', ['a@example.com'], ': wrongType'],
    ['null', null, ': wrongType'],
  ])('refuses %s', async (_, json, problem) => {
    const tenant = await buildTenant(api.deps);
    const answer = await create(tenant, json);

    expect(answer.status).toBe(422);
    expect(codes(answer.body.errors)).toEqual([problem]);
    expect(await storedOf(tenant)).toEqual([]);
  });

  test('refuses an email or external id that another customer has', async () => {
    const tenant = await buildTenant(api.deps);
    await buildCustomer(api.deps, { tenant, email: 'ana@example.com', externalId: '1' });

    const sameEmail = await create(tenant, { email: 'ANA@example.com' });
    expect([sameEmail.status, sameEmail.body.code]).toEqual([409, 'emailTaken']);
    const sameId = await create(tenant, { externalId: '1' });
    expect([sameId.status, sameId.body.code]).toEqual([409, 'externalIdTaken']);
    expect(await storedOf(tenant)).toHaveLength(1);

    const elsewhere = await create(await buildTenant(api.deps), { email: 'ana@example.com' });
    expect(elsewhere.status).toBe(201);
  });

  test('answers 401 without a token and 403 to a viewer', async () => {
    const tenant = await buildTenant(api.deps);
    const json = { email: 'a@example.com' };
    expect((await api.send('post', path, { json })).status).toBe(401);
    const viewer = await api.send('post', path, { json, token: tenant.tokenOf('viewer') });
    expect([viewer.status, viewer.body.code]).toEqual([403, 'forbidden']);
    expect(await storedOf(tenant)).toEqual([]);
  });
});

describe('GET /customers', () => {
  test('filters, and counts what fits', async () => {
    const tenant = await buildTenant(api.deps);
    await buildCustomer(api.deps, {
      tenant,
      email: 'ana@example.com',
      firstName: 'Ana',
      tags: ['vip', 'new'],
      language: 'es',
    });
    await buildCustomer(api.deps, {
      tenant,
      email: 'bo@example.com',
      firstName: 'Bo',
      lastName: 'Anders',
      tags: ['vip'],
      timeZone: 'Asia/Tokyo',
    });
    await buildCustomer(api.deps, {
      tenant,
      email: 'c_e@example.com',
      externalId: 'C1',
      firstName: 'Cé',
    });
    await buildCustomer(api.deps, {
      tenant: await buildTenant(api.deps),
      email: 'ana@example.com',
    });

    const emails = async (query: string) => {
      const answer = await api.send('get', `${path}?sort=email&${query}`, { token: tenant.token });
      expect(answer.status).toBe(200);
      expect(answer.body.meta.total).toBe(answer.body.data.length);
      return answer.body.data.map((customer: { email: string }) => customer.email.split('@')[0]);
    };
    expect(await emails('')).toEqual(['ana', 'bo', 'c_e']);
    expect(await emails('email=ANA@EXAMPLE.com')).toEqual(['ana']);
    expect(await emails('externalId=C1')).toEqual(['c_e']);
    expect(await emails('tag=vip')).toEqual(['ana', 'bo']);
    expect(await emails('tag=vip&language=es')).toEqual(['ana']);
    expect(await emails('timeZone=asia/tokyo')).toEqual(['bo']);
    expect(await emails('search=AN')).toEqual(['ana', 'bo']);
    expect(await emails('search=c_')).toEqual(['c_e']);
    expect(await emails('search=_')).toEqual([]);
    expect(await emails('createdBefore=2020-01-01T00:00:00Z')).toEqual([]);
    expect(await emails('createdAfter=2020-01-01T00:00:00%2B02:00')).toEqual(['ana', 'bo', 'c_e']);
  });

  test('pages by number and by cursor over rows of the same instant, each row once', async () => {
    const tenant = await buildTenant(api.deps);
    for (let at = 0; at < 7; at += 1) {
      await buildCustomer(api.deps, { tenant, lastName: at % 2 === 0 ? 'Same' : null });
    }
    for (const sort of ['createdAt', '-createdAt', 'lastName', '-lastName', '-email']) {
      const query = `${path}?perPage=3&sort=${sort}`;
      const first = await api.send('get', query, { token: tenant.token });
      expect(first.body.meta).toMatchObject({ page: 1, perPage: 3, total: 7, pages: 3 });
      const ids: string[] = first.body.data.map((row: { id: string }) => row.id);
      let { nextCursor } = first.body.meta;
      while (nextCursor !== null) {
        const next = await api.send('get', `${query}&cursor=${nextCursor}`, {
          token: tenant.token,
        });
        expect(next.status).toBe(200);
        ids.push(...next.body.data.map((row: { id: string }) => row.id));
        nextCursor = next.body.meta.nextCursor;
      }
      expect(new Set(ids).size).toBe(7);
      expect(ids).toHaveLength(7);
      const third = await api.send('get', `${query}&page=3`, { token: tenant.token });
      expect(third.body.data.map((row: { id: string }) => row.id)).toEqual(ids.slice(6));
    }
  });

  test('answers only the fields that were asked for', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, { tenant });
    const list = await api.send('get', `${path}?fields=id,%20email`, { token: tenant.token });
    expect(list.body.data).toEqual([{ id: customer.id, email: customer.email }]);
    const one = await api.send('get', `${path}/${customer.id}?fields=tags`, {
      token: tenant.token,
    });
    expect(one.body.data).toEqual({ tags: [] });
  });

  test.each([
    ['perPage=0', 422, 'perPage: tooSmall'],
    ['perPage=201', 422, 'perPage: tooBig'],
    ['page=0', 422, 'page: tooSmall'],
    ['page=1.5', 422, 'page: wrongFormat'],
    ['page=1&page=2', 422, 'page: repeated'],
    ['sort=password', 422, 'sort: notAllowed'],
    ['fields=id,secret', 422, 'fields: unknownField'],
    ['color=red', 422, 'color: unknownParameter'],
    ['timeZone=nowhere', 422, 'timeZone: unknownTimeZone'],
    ['createdAfter=yesterday', 422, 'createdAfter: wrongFormat'],
    ['search=%00', 422, 'search: nulCharacter'],
    ['search=%ff', 400, 'malformedQuery'],
    ['cursor=nonsense', 400, 'malformedCursor'],
    [`cursor=${forgedCursor('-createdAt', 'yesterday', 'x')}`, 400, 'malformedCursor'],
    [
      `cursor=${forgedCursor('-createdAt', '2026-02-31', '00000000-0000-7000-8000-000000000000')}`,
      400,
      'malformedCursor',
    ],
    [
      `sort=email&cursor=${forgedCursor('-createdAt', '2026-01-01', '00000000-0000-7000-8000-000000000000')}`,
      400,
      'malformedCursor',
    ],
    [
      `page=2&cursor=${forgedCursor('-createdAt', '2026-01-01', '00000000-0000-7000-8000-000000000000')}`,
      400,
      'malformedCursor',
    ],
  ])('refuses %s', async (query, status, problem) => {
    const tenant = await buildTenant(api.deps);
    const answer = await api.send('get', `${path}?${query}`, { token: tenant.token });

    expect(answer.status).toBe(status);
    expect(status === 422 ? codes(answer.body.errors) : [answer.body.code]).toEqual([problem]);
  });
});

describe('one customer', () => {
  test.each(['get', 'put', 'patch', 'delete'])(
    '%s of another tenant’s, an unknown and no id answers 404',
    async (method) => {
      const tenant = await buildTenant(api.deps);
      const theirs = await buildCustomer(api.deps, { tenant: await buildTenant(api.deps) });
      const json = method === 'get' || method === 'delete' ? undefined : { email: 'a@example.com' };
      for (const id of [
        theirs.id,
        '0190a000-0000-7000-8000-000000000000',
        'me',
        '%E0%A4%A',
        '%00',
      ]) {
        const answer = await api.send(method, `${path}/${id}`, { token: tenant.token, json });
        expect([id, answer.status, answer.body.code]).toEqual([id, 404, 'customerNotFound']);
      }
      expect((await api.send(method, `${path}/${theirs.id}`, { json })).status).toBe(401);
      expect(await api.db('customers').where({ id: theirs.id })).toMatchObject([
        { email: theirs.email },
      ]);
    },
  );

  test('PATCH leaves what is left out and clears what is null', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, {
      tenant,
      firstName: 'Ana',
      lastName: 'Lopez',
      tags: ['a'],
      attributes: { keep: 1, drop: 2 },
      emailConsent: 'granted',
      emailConsentSource: 'form',
    });
    const answer = await api.send('patch', `${path}/${customer.id}`, {
      token: tenant.token,
      json: { lastName: null, attributes: { drop: null, add: 3 } },
    });

    expect(answer.status).toBe(200);
    expect(answer.body.data).toMatchObject({
      email: customer.email,
      firstName: 'Ana',
      lastName: null,
      tags: ['a'],
      attributes: { keep: 1, add: 3 },
      consent: { email: { status: 'granted', source: 'form' } },
    });
    const cleared = await api.send('patch', `${path}/${customer.id}`, {
      token: tenant.token,
      json: { attributes: null, tags: null, consent: { email: { status: 'withdrawn' } } },
    });
    expect(cleared.body.data).toMatchObject({
      attributes: {},
      tags: [],
      consent: { email: { status: 'withdrawn', source: 'api', at: expect.any(String) } },
    });
  });

  test('keeps a consent for each channel, and PATCH leaves those it does not name', async () => {
    const tenant = await buildTenant(api.deps);
    const { id, consent } = (
      await create(tenant, {
        phone: '+34 600 123 456',
        consent: {
          sms: { status: 'granted', source: 'checkout', at: '2026-01-02T03:04:05Z' },
          whatsapp: { status: 'withdrawn' },
        },
      })
    ).body.data;
    const unknown = { status: 'unknown', source: null, at: null };
    expect(consent).toEqual({
      email: unknown,
      sms: { status: 'granted', source: 'checkout', at: '2026-01-02T03:04:05.000Z' },
      whatsapp: { status: 'withdrawn', source: 'api', at: expect.any(String) },
    });
    const { token } = tenant;
    const change = async (json: object, method = 'patch') =>
      (await api.send(method, `${path}/${id}`, { token, json })).body.data.consent;

    const granted = { whatsapp: { status: 'granted', source: 'form' } };
    const changed = await change({ consent: granted });
    expect(changed).toEqual({
      ...consent,
      whatsapp: { status: 'granted', source: 'form', at: expect.any(String) },
    });
    expect(await change({ consent: {}, firstName: 'Ana' })).toEqual(changed);
    expect(await change({ phone: '+34600123456', consent: granted }, 'put')).toMatchObject({
      email: unknown,
      sms: unknown,
      whatsapp: { status: 'granted' },
    });
    expect(await change({ consent: null })).toEqual({
      email: unknown,
      sms: unknown,
      whatsapp: unknown,
    });
  });

  test('PATCH does not take the last identity away', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, { tenant });
    const answer = await api.send('patch', `${path}/${customer.id}`, {
      token: tenant.token,
      json: { email: null },
    });

    expect([answer.status, answer.body.code]).toEqual([409, 'identityMissing']);
    expect(await storedOf(tenant)).toMatchObject([{ email: customer.email }]);
  });

  test('PUT writes the whole: what is left out is cleared', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, {
      tenant,
      firstName: 'Ana',
      tags: ['a'],
      attributes: { a: 1 },
    });
    const answer = await api.send('put', `${path}/${customer.id}`, {
      token: tenant.token,
      json: { email: 'new@example.com' },
    });

    expect(answer.status).toBe(200);
    expect(answer.body.data).toMatchObject({
      id: customer.id,
      email: 'new@example.com',
      firstName: null,
      tags: [],
      attributes: {},
      timeZone: null,
    });
  });

  test('is not changed by who read an older version', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, { tenant });
    const url = `${path}/${customer.id}`;
    const etag = (await api.send('get', url, { token: tenant.token })).headers.get('ETag') ?? '';

    const first = await api.send('patch', url, {
      token: tenant.token,
      json: { firstName: 'One' },
      headers: { 'If-Match': etag },
    });
    expect(first.status).toBe(200);
    const second = await api.send('patch', url, {
      token: tenant.token,
      json: { firstName: 'Two' },
      headers: { 'If-Match': etag },
    });
    expect([second.status, second.body.code]).toEqual([412, 'changedMeanwhile']);
    const third = await api.send('put', url, {
      token: tenant.token,
      json: { email: customer.email, firstName: 'Three' },
      headers: { 'If-Match': first.headers.get('ETag') ?? '' },
    });
    expect(third.body.data.firstName).toBe('Three');
  });

  test('answers 304 to who has this version', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, { tenant });
    const url = `${path}/${customer.id}`;
    const etag = (await api.send('get', url, { token: tenant.token })).headers.get('ETag') ?? '';
    const again = await api.send('get', url, {
      token: tenant.token,
      headers: { 'If-None-Match': etag },
    });

    expect([again.status, again.text]).toEqual([304, '']);
    const old = await api.send('get', url, {
      token: tenant.token,
      headers: { 'If-None-Match': '"old"' },
    });
    expect(old.status).toBe(200);
  });

  test('DELETE removes it, once', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, { tenant });
    const other = await buildCustomer(api.deps, { tenant });
    const url = `${path}/${customer.id}`;

    const viewer = await api.send('delete', url, { token: tenant.tokenOf('viewer') });
    expect(viewer.status).toBe(403);
    expect((await api.send('delete', url, { token: tenant.token })).status).toBe(204);
    expect((await api.send('delete', url, { token: tenant.token })).status).toBe(404);
    expect(await storedOf(tenant)).toMatchObject([{ id: other.id }]);
  });
});

function forgedCursor(order: string, key: string, id: string): string {
  return Buffer.from(JSON.stringify([order, key, id])).toString('base64url');
}
