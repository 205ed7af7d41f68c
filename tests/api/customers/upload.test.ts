import { newId } from '../../../lib/ids';
import { acrossTenants } from '../../../models/base';
import { failAbandonedImports } from '../../../models/customers/imports';
import { startTestApi, type TestApi } from '../../support/api';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

interface Upload {
  type?: string;
  field?: string;
  fileName?: string;
  headers?: Record<string, string>;
}

function upload(tenant: TestTenant, content: string | Buffer, options: Upload = {}) {
  const form = new FormData();
  form.append(
    options.field ?? 'file',
    new Blob([content], { type: options.type ?? 'text/csv' }),
    options.fileName ?? 'customers.csv',
  );
  return api.send('post', '/api/v1/customers/upload', {
    token: tenant.token,
    body: form,
    headers: options.headers ?? {},
  });
}

function customersOf(tenant: TestTenant) {
  return api.db('customers').where({ tenant_id: tenant.tenantId }).orderBy('email');
}

async function rejectionsOf(tenant: TestTenant, id: string) {
  const answer = await api.send('get', `/api/v1/imports/${id}/rejections`, { token: tenant.token });
  return answer.body.data;
}

test('imports customers by the names of their columns, the rest as attributes', async () => {
  const tenant = await buildTenant(api.deps);
  const answer = await upload(
    tenant,
    'E-Mail,first_name,Last Name,timezone,Language,Tags,External ID,Email Consent,Shoe size\r\n' +
      'Ana@Example.com,Ana,"Lopez, Jr.",europe/madrid,es-es,vip; new,A-1,granted,38\r\n',
  );

  expect(answer.status).toBe(202);
  expect(answer.body.data).toMatchObject({
    state: 'completed',
    fileName: 'customers.csv',
    rowsRead: 1,
    created: 1,
    updated: 0,
    rejected: 0,
    rejectionsKept: 0,
    failure: null,
  });
  expect(answer.headers.get('Location')).toBe(`/api/v1/imports/${answer.body.data.id}`);
  const [customer] = await customersOf(tenant);
  expect(customer).toMatchObject({
    email: 'Ana@example.com',
    first_name: 'Ana',
    last_name: 'Lopez, Jr.',
    time_zone: 'Europe/Madrid',
    language: 'es-ES',
    tags: ['vip', 'new'],
    external_id: 'A-1',
    attributes: { 'Shoe size': '38' },
    email_consent: 'granted',
    email_consent_source: 'import',
  });
});

test('reads a BOM, quotes, embedded line breaks, empty lines and any line ends', async () => {
  const tenant = await buildTenant(api.deps);
  const answer = await upload(
    tenant,
    '\uFEFFemail,firstName,note\r\n' +
      'a@example.com,"A ""the"" A","two\nlines"\r\n' +
      '\n' +
      'b@example.com,B,5" pipe\n' +
      'nobody,C,\r' +
      'd@example.com,Đặng,"last"',
  );

  expect(answer.body.data).toMatchObject({ rowsRead: 4, created: 3, rejected: 1 });
  const rows = await customersOf(tenant);
  expect(rows.map((row) => [row.first_name, row.attributes.note])).toEqual([
    ['A "the" A', 'two\nlines'],
    ['B', '5" pipe'],
    ['Đặng', 'last'],
  ]);
  // A spreadsheet shows it in row 5: header, a, an empty row, b, this one.
  expect(await rejectionsOf(tenant, answer.body.data.id)).toEqual([
    { row: 5, field: 'email', code: 'wrongEmail', reason: expect.any(String) },
  ]);
});

test('rejects each bad row with its number, field and reason, and imports the others', async () => {
  const tenant = await buildTenant(api.deps);
  const answer = await upload(
    tenant,
    [
      'email,externalId,phone,language,timeZone,emailConsent,tags,firstName',
      'good@example.com,,,,,,,',
      'not an address,,,,,,,',
      'p@example.com,,12,,,,,',
      'l@example.com,,,english please,,,,',
      'z@example.com,,,,CET,,,',
      'c@example.com,,,,,maybe,,',
      ',,,en,,,,Ana',
      'few@example.com',
      'n@example.com,,,,,,,\u0000',
      `t@example.com,,,,,,${'t'.repeat(65)},`,
      `f@example.com,,,,,,,${'f'.repeat(101)}`,
    ].join('\n'),
  );

  expect(answer.body.data).toMatchObject({ rowsRead: 11, created: 1, rejected: 10 });
  const rejections = await rejectionsOf(tenant, answer.body.data.id);
  expect(
    rejections.map((each: Record<string, unknown>) => [each['row'], each['field'], each['code']]),
  ).toEqual([
    [3, 'email', 'wrongEmail'],
    [4, 'phone', 'wrongPhone'],
    [5, 'language', 'wrongLanguage'],
    [6, 'timeZone', 'unknownTimeZone'],
    [7, 'emailConsent', 'wrongConsent'],
    [8, 'email', 'identityMissing'],
    [9, null, 'wrongColumnCount'],
    [10, 'firstName', 'nulCharacter'],
    [11, 'tags', 'tooBig'],
    [12, 'firstName', 'tooBig'],
  ]);
  expect(await customersOf(tenant)).toHaveLength(1);
});

test('writes over customers that are there: empty cells change nothing, tags are added', async () => {
  const tenant = await buildTenant(api.deps);
  const stored = await buildCustomer(api.deps, {
    tenant,
    email: 'ana@example.com',
    firstName: 'Ana',
    lastName: 'Lopez',
    tags: ['old'],
    attributes: { size: 38, color: 'red' },
    emailConsent: 'withdrawn',
  });
  const answer = await upload(
    tenant,
    'email,firstName,lastName,tags,color,emailConsent\nANA@example.com,Anna,,new,blue,granted\n',
  );

  expect(answer.body.data).toMatchObject({ created: 0, updated: 1 });
  const [customer, ...others] = await customersOf(tenant);
  expect(others).toEqual([]);
  expect(customer).toMatchObject({
    id: stored.id,
    first_name: 'Anna',
    last_name: 'Lopez',
    tags: ['old', 'new'],
    attributes: { size: 38, color: 'blue' },
    email_consent: 'withdrawn',
  });
});

test('takes a consent for each channel, and gives none back that was withdrawn', async () => {
  const tenant = await buildTenant(api.deps);
  const header = 'email,Phone,SMS consent,whatsapp_consent,emailConsent\n';
  await upload(
    tenant,
    `${header}a@example.com,+49 30 111,granted,WITHDRAWN,\nb@example.com,,withdrawn,,\n`,
  );
  const second = await upload(
    tenant,
    `${header}a@example.com,,,granted,granted\nb@example.com,,granted,granted,\nb@example.com,,,withdrawn,\n`,
  );
  expect(second.body.data).toMatchObject({ created: 0, updated: 3, rejected: 0 });
  const at = expect.any(Date);
  expect(await customersOf(tenant)).toMatchObject([
    {
      phone: '+4930111',
      email_consent: 'granted',
      sms_consent: 'granted',
      sms_consent_source: 'import',
      sms_consent_at: at,
      whatsapp_consent: 'withdrawn',
    },
    {
      email_consent: 'unknown',
      email_consent_source: null,
      sms_consent: 'withdrawn',
      whatsapp_consent: 'withdrawn',
      whatsapp_consent_source: 'import',
      whatsapp_consent_at: at,
    },
  ]);
  const refused = await upload(tenant, `${header}c@example.com,,perhaps,,\n`);
  expect(await rejectionsOf(tenant, refused.body.data.id)).toMatchObject([
    { row: 2, field: 'smsConsent', code: 'wrongConsent' },
  ]);
});

test('knows a customer by the phone alone, and imports a file twice without doubling anybody', async () => {
  const tenant = await buildTenant(api.deps);
  const stored = await buildCustomer(api.deps, { tenant, phone: '+4930111', firstName: 'Old' });
  const file = 'phone,firstName\n+49 30 111,Ana\n+4930222,Bo\n+4930222,Bob\n';
  const first = await upload(tenant, file);
  expect(first.body.data).toMatchObject({ created: 1, updated: 2, rejected: 0 });
  const second = await upload(tenant, file);
  expect(second.body.data).toMatchObject({ created: 0, updated: 3, rejected: 0 });
  const rows = await customersOf(tenant);
  expect(Object.fromEntries(rows.map((row) => [row.phone, row.first_name]))).toEqual({
    '+4930111': 'Ana',
    '+4930222': 'Bob',
  });
  expect(rows).toHaveLength(2);
  expect(rows.find((row) => row.phone === '+4930111')).toMatchObject({
    id: stored.id,
    email: stored.email,
  });
});

test('takes a phone of several customers for nobody’s', async () => {
  const tenant = await buildTenant(api.deps);
  await buildCustomer(api.deps, { tenant, phone: '+4930111' });
  await buildCustomer(api.deps, { tenant, phone: '+4930111' });
  const answer = await upload(
    tenant,
    'email,phone,firstName\n,+4930111,Ana\na@example.com,+4930222,A\nb@example.com,+4930222,B\n,+4930222,C\n',
  );
  expect(answer.body.data).toMatchObject({ created: 2, updated: 0, rejected: 2 });
  expect(await rejectionsOf(tenant, answer.body.data.id)).toMatchObject([
    { row: 2, field: 'phone', code: 'phoneAmbiguous' },
    { row: 5, field: 'phone', code: 'phoneAmbiguous' },
  ]);
});

test('adds who is known by a phone once, by two imports at the same moment', async () => {
  const tenant = await buildTenant(api.deps);
  const numbers = Array.from({ length: 300 }, (_, n) => `+49301${n + 100}`);
  const file = (list: string[]) => `phone\n${list.join('\n')}\n`;
  const answers = await Promise.all([
    upload(tenant, file(numbers)),
    upload(tenant, file(numbers.toReversed())),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([202, 202]);
  expect(await customersOf(tenant)).toHaveLength(300);
});

test('lets a later row of the same customer write over the earlier one', async () => {
  const tenant = await buildTenant(api.deps);
  const answer = await upload(
    tenant,
    'email,externalId,firstName,lastName\na@example.com,,A,First\nA@EXAMPLE.com,7,B,\na2@example.com,7,,\n',
  );

  expect(answer.body.data).toMatchObject({ rowsRead: 3, created: 1, updated: 2 });
  expect(await customersOf(tenant)).toMatchObject([
    { email: 'a2@example.com', external_id: '7', first_name: 'B', last_name: 'First' },
  ]);
});

test('rejects a row that would give a customer the email of another', async () => {
  const tenant = await buildTenant(api.deps);
  await buildCustomer(api.deps, { tenant, email: 'one@example.com', externalId: '1' });
  await buildCustomer(api.deps, { tenant, email: 'two@example.com', externalId: '2' });
  const answer = await upload(tenant, 'email,externalId\ntwo@example.com,1\none@example.com,3\n');

  expect(answer.body.data).toMatchObject({ rowsRead: 2, created: 0, updated: 0, rejected: 2 });
  expect(await rejectionsOf(tenant, answer.body.data.id)).toMatchObject([
    { row: 2, field: 'email', code: 'emailTaken' },
    { row: 3, field: 'externalId', code: 'externalIdTaken' },
  ]);
});

test('swaps the emails of two customers in one file, or says which row could not', async () => {
  const tenant = await buildTenant(api.deps);
  await buildCustomer(api.deps, { tenant, email: 'one@example.com', externalId: '1' });
  await buildCustomer(api.deps, { tenant, email: 'two@example.com', externalId: '2' });
  // Through a third address each step is possible by itself, though not as one statement.
  const answer = await upload(
    tenant,
    'email,externalId\nthree@example.com,1\none@example.com,2\ntwo@example.com,1\n',
  );

  const { updated, rejected } = answer.body.data;
  expect(updated + rejected).toBe(3);
  expect(new Set((await customersOf(tenant)).map((row) => row.email)).size).toBe(2);
});

test('leaves the customers of other tenants alone', async () => {
  const [mine, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  await buildCustomer(api.deps, { tenant: other, email: 'a@example.com', firstName: 'Theirs' });
  const answer = await upload(mine, 'email,firstName\na@example.com,Mine\n');

  expect(answer.body.data).toMatchObject({ created: 1 });
  expect(await customersOf(other)).toMatchObject([{ first_name: 'Theirs' }]);
  const seen = await api.send('get', `/api/v1/imports/${answer.body.data.id}`, {
    token: other.token,
  });
  expect(seen.status).toBe(404);
  expect(seen.body.code).toBe('importNotFound');
});

test('imports once for one Idempotency-Key, and refuses the key for another file', async () => {
  const tenant = await buildTenant(api.deps);
  const headers = { 'Idempotency-Key': 'first import'.replace(' ', '-') };
  const first = await upload(tenant, 'email\na@example.com\n', { headers });
  const second = await upload(tenant, 'email\na@example.com\n', { headers });
  const other = await upload(tenant, 'email\nb@example.com\n', { headers });

  expect(second.status).toBe(202);
  expect(second.headers.get('Idempotency-Replayed')).toBe('true');
  expect(second.body).toEqual(first.body);
  expect(other.status).toBe(409);
  expect(other.body.code).toBe('idempotencyKeyReused');
  expect(await customersOf(tenant)).toHaveLength(1);
});

test('begins an import again that lost its process, and counts its rows once', async () => {
  const tenant = await buildTenant(api.deps);
  const headers = { 'Idempotency-Key': 'interrupted' };
  const content = 'email,phone\na@example.com,\nb@example.com,bad\n';
  const first = await upload(tenant, content, { headers });
  // As if the process had died before the end: its rows are in, the answer is not kept.
  const mine = { tenant_id: tenant.tenantId };
  await api.db('imports').where(mine).update({ state: 'running', finished_at: null });
  await api
    .db('idempotency_keys')
    .where(mine)
    .update({ state: 'running', locked_until: new Date(Date.now() - 1_000) });
  const second = await upload(tenant, content, { headers });

  expect(second.status).toBe(202);
  expect(second.body.data).toMatchObject({
    id: first.body.data.id,
    state: 'completed',
    rowsRead: 2,
    created: 0,
    updated: 1,
    rejected: 1,
  });
  expect(await rejectionsOf(tenant, first.body.data.id)).toHaveLength(1);
  expect(await customersOf(tenant)).toHaveLength(1);
});

test('fails an import whose process is gone, and no other', async () => {
  const tenant = await buildTenant(api.deps);
  const ids = [newId(), newId()];
  for (const [at, id] of ids.entries()) {
    await api.db('imports').insert({
      id,
      tenant_id: tenant.tenantId,
      state: 'running',
      updated_at: new Date(Date.now() - at * 600_000),
    });
  }
  await acrossTenants(api.deps.db, 'reconcile', (trx) => failAbandonedImports(trx, 300_000));

  const states = [];
  for (const id of ids) {
    const { body } = await api.send('get', `/api/v1/imports/${id}`, { token: tenant.token });
    states.push([body.data.state, body.data.failure?.code]);
  }
  expect(states).toEqual([
    ['running', undefined],
    ['failed', 'interrupted'],
  ]);
});

test('imports many rows in batches, duplicates across batches included', async () => {
  const tenant = await buildTenant(api.deps);
  const lines = Array.from({ length: 2_500 }, (_, at) => `c${at % 2_100}@example.com,N${at}`);
  const answer = await upload(tenant, ['email,firstName', ...lines].join('\n'));

  expect(answer.body.data).toMatchObject({ rowsRead: 2_500, created: 2_100, updated: 400 });
  const [row] = await customersOf(tenant).where({ email: 'c399@example.com' });
  expect(row.first_name).toBe('N2499');
});

test('counts every bad row and keeps the first 10,000', async () => {
  const tenant = await buildTenant(api.deps);
  const answer = await upload(tenant, `email\n${'a\n'.repeat(10_500)}ana@example.com\nb\n`);
  expect(answer.body.data).toMatchObject({
    state: 'completed',
    rowsRead: 10_502,
    created: 1,
    rejected: 10_501,
    rejectionsKept: 10_000,
  });
  const listed = await api.send(
    'get',
    `/api/v1/imports/${answer.body.data.id}/rejections?page=200`,
    { token: tenant.token },
  );
  expect(listed.body.meta.total).toBe(10_000);
  expect(listed.body.data.at(-1)).toMatchObject({ row: 10_001, code: 'wrongEmail' });
});

test('refuses a file of more than 1,000,000 rows and imports none of them', async () => {
  const tenant = await buildTenant(api.deps);
  const answer = await upload(tenant, `email\n${'a\n'.repeat(1_000_001)}`);
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toMatchObject([{ path: 'file', code: 'tooManyRows' }]);
  expect(await api.db('imports').where({ tenant_id: tenant.tenantId })).toEqual([]);
}, 180_000);

test('imports the same customers from several files at once', async () => {
  const tenant = await buildTenant(api.deps);
  const lines = Array.from({ length: 1_200 }, (_, at) => `c${at}@example.com,${at}`);
  const files = [lines, [...lines].reverse(), lines.map((line) => line.toUpperCase())];
  const answers = await Promise.all(
    files.map((file) => upload(tenant, ['email,externalId', ...file].join('\n'))),
  );

  expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
  expect(answers.map(({ body }) => body.data.rejected)).toEqual([0, 0, 0]);
  expect(await customersOf(tenant)).toHaveLength(1_200);
});

describe('a file that is broken as a whole changes nothing', () => {
  const good = 'email\nfirst@example.com\n';

  test.each([
    ['semicolons', 'email;firstName\na@example.com;Ana\n', 422, 'noUsableColumn'],
    ['a NUL in the header', 'email,a\u0000\na@example.com,1\n', 422, 'nulCharacter'],
    ['an empty file', '', 422, 'fileEmpty'],
    ['a header without rows', 'email,firstName\n', 422, 'noRows'],
    ['no header', 'a@example.com,Ana\nb@example.com,Bo\n', 422, 'noUsableColumn'],
    ['no column that names customers', 'firstName,city\nAna,Porto\n', 422, 'noUsableColumn'],
    [
      'two columns for one field',
      'email,E-Mail\na@example.com,b@example.com\n',
      422,
      'duplicateColumn',
    ],
    [
      'a quote that is never closed',
      `${good}"open@example.com\nx@example.com\n`,
      422,
      'quoteNotClosed',
    ],
    ['a row without end', `${good}"${'x'.repeat(300 * 1024)}"\n`, 422, 'rowTooLarge'],
    ['Latin-1', Buffer.from(`${good}m\u00fcller@example.com\n`, 'latin1'), 422, 'notUtf8'],
    ['UTF-16', Buffer.from(`\uFEFF${good}`, 'utf16le'), 422, 'notUtf8'],
    ['a workbook', Buffer.from('PK\u0003\u0004 and so on'), 415, 'unsupportedMediaType'],
    ['a long column name', `email,${'x'.repeat(65)}\na@example.com,1\n`, 422, 'columnNameTooLong'],
  ])('%s', async (_, content, status, code) => {
    const tenant = await buildTenant(api.deps);
    const answer = await upload(tenant, content);

    expect(answer.status).toBe(status);
    const problem = answer.body.errors?.[0] ?? { ...answer.body, path: 'file' };
    expect([problem.path, problem.code]).toEqual(['file', code]);
    expect(await customersOf(tenant)).toEqual([]);
    expect(await api.db('imports').where({ tenant_id: tenant.tenantId })).toEqual([]);
  });

  test('a file of more than 50 MiB', async () => {
    const tenant = await buildTenant(api.deps);
    const content = Buffer.alloc(50 * 1024 * 1024 + 1, 'email\n');
    const answer = await upload(tenant, content);

    expect(answer.status).toBe(413);
    expect(answer.body.code).toBe('bodyTooLarge');
    expect(await customersOf(tenant)).toEqual([]);
  });

  test('a body that is far larger than a file may be', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await upload(tenant, Buffer.alloc(60 * 1024 * 1024, 'email\n'));

    expect(answer.status).toBe(413);
  });

  test('another type of file', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await upload(tenant, good, { type: 'image/png' });

    expect(answer.status).toBe(415);
  });

  test('another form field', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await upload(tenant, good, { field: 'customers' });

    expect(answer.status).toBe(422);
    expect(answer.body.errors).toEqual([
      { path: 'customers', code: 'unknownField', message: expect.any(String) },
    ]);
  });

  test('no form at all', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await api.send('post', '/api/v1/customers/upload', {
      token: tenant.token,
      body: good,
      headers: { 'Content-Type': 'text/csv' },
    });

    expect(answer.status).toBe(415);
  });

  test.each([
    ['without a boundary', 'multipart/form-data', 'x'],
    [
      'that ends early',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\nemail\na@example.com\n',
    ],
  ])('a form %s', async (_, type, body) => {
    const tenant = await buildTenant(api.deps);
    const answer = await api.send('post', '/api/v1/customers/upload', {
      token: tenant.token,
      body,
      headers: { 'Content-Type': type },
    });

    expect(answer.status).toBe(400);
    expect(answer.body.code).toBe('malformedForm');
    expect(await customersOf(tenant)).toEqual([]);
  });

  test('a viewer may not import', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await upload({ ...tenant, token: tenant.tokenOf('viewer') }, good);

    expect(answer.status).toBe(403);
    expect(await customersOf(tenant)).toEqual([]);
  });
});
