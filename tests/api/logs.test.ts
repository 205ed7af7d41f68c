import { createLogger } from '../../lib/logger';
import { startTestApi, type TestApi } from '../support/api';
import { dataOf } from '../support/campaigns';

// What the requests below carry. None of it may stand in a log, in clear or as a URL writes it.
const secrets = {
  password: 'Sesame of the Bells 42',
  email: 'kimberley.lee@bells.example',
  otherEmail: 'unknown.person@bells.example',
  phone: '+4915112345678',
  firstName: 'Kimberleigh',
  company: 'Trip the Constraint Ltd',
  vendorKey: 'SG.0123456789abcdefghijkl.sesame-of-a-vendor',
  trackingToken: 'AbCdEf0123456789AbCdEf0123456789AbCdEf',
  search: 'needle-in-haystack-4711',
};

let api: TestApi;
let log = '';

beforeAll(async () => {
  const destination = {
    write: (line: string) => {
      log += line;
    },
  };
  api = await startTestApi({ logger: createLogger({ name: 'api', level: 'trace', destination }) });
});

afterAll(async () => {
  await api.stop();
});

function post(path: string, token: string | undefined, json: unknown) {
  return api.send('post', `/api/v1${path}`, { token, json });
}

test('a log at level trace holds nothing of what requests carry, whatever fails', async () => {
  const person = { companyName: 'Bells', email: secrets.email, password: secrets.password };
  const session = dataOf(await post('/auth/register', undefined, person), 201);
  const token: string = session.accessToken;
  await post('/auth/login', undefined, { email: secrets.email, password: secrets.password });
  await post('/auth/login', undefined, { email: secrets.otherEmail, password: secrets.password });
  const made = await post('/api-keys', token, { name: 'Shop', scopes: ['customer:read'] });
  const key: string = dataOf(made, 201).key;
  await api.send('get', '/api/v1/customers', { token: key });
  await api.send('get', '/api/v1/customers', { token: `${key}x` });

  const customer = { email: secrets.email, phone: secrets.phone, firstName: secrets.firstName };
  expect((await post('/customers', token, customer)).status).toBe(201);
  const account = {
    vendor: 'sendgrid',
    channel: 'email',
    name: 'Post',
    settings: { region: 'global' },
    credentials: { apiKey: secrets.vendorKey },
  };
  expect((await post('/provider-accounts', token, account)).status).toBe(201);
  const query = `email=${encodeURIComponent(secrets.email)}&search=${secrets.search}`;
  await api.send('get', `/api/v1/customers?${query}`, { token });
  await api.send('get', `/api/v1/nothing/${secrets.search}?${query}`, { token });
  await api.send('get', `/t/o/${secrets.trackingToken}`);
  await api.send('get', `/t/c/${secrets.trackingToken}/1?${query}`);
  await api.send('get', '/health', { headers: { 'X-Request-Id': token.slice(0, 120) } });

  // The database quotes the whole row in its refusal, and the value in the next one.
  await api.db.raw(
    `alter table customers add constraint refused check (first_name <> '${secrets.firstName}') not valid`,
  );
  const otherCustomer = { ...customer, email: secrets.otherEmail };
  expect((await post('/customers', token, otherCustomer)).status).toBe(500);
  await api.db.raw(
    `alter table users add constraint refused check (company_name <> '${secrets.company}')`,
  );
  const refused = { ...person, email: secrets.otherEmail, companyName: secrets.company };
  expect((await post('/auth/register', undefined, refused)).status).toBe(500);
  await api.db.raw('alter table suppressions alter column address type uuid using null');
  const suppression = { address: secrets.otherEmail };
  expect((await post('/suppressions', token, suppression)).status).toBe(500);
  await api.db.raw('alter table suppressions rename to moved');
  expect((await post('/suppressions', token, suppression)).status).toBe(500);

  // It was written, and by what failed too; each line can be read.
  const lines = log.trim().split('\n');
  const failed = lines
    .map((line) => JSON.parse(line))
    .filter(({ msg }) => msg === 'request failed');
  expect(failed).toHaveLength(4);
  expect(failed[0].err).toMatchObject({ code: '23514' });
  expect(JSON.stringify(failed[0])).toContain('insert into');
  const told = Object.entries({ ...secrets, token, key }).filter(
    ([, secret]) => log.includes(secret) || log.includes(encodeURIComponent(secret)),
  );
  expect(told.map(([name]) => name)).toEqual([]);
  expect(log).not.toMatch(/kimberl|unknown\.person|sesame|4915112345678|\$argon2/i);
});
