import { startTestApi, type ApiAnswer, type TestApi } from '../support/api';
import { startCampaignGround, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { buildCustomer, buildTenant, type TestTenant } from '../support/factories';
import { clearFaults, sandboxCalls, setFaults } from '../support/sandboxControl';
import { ensureStandingWork } from '../../workers/schedules';

jest.setTimeout(60_000);

let ground: CampaignGround;
let api: TestApi;

beforeAll(async () => {
  ground = await startCampaignGround({ timeoutMs: 2_000 });
  api = await startTestApi({ db: ground.db });
  await ground.startWorker();
  await ensureStandingWork(ground.temporal.client);
}, 60_000);

afterEach(() => clearFaults(ground.sandbox));

afterAll(async () => {
  await api.stop();
  await ground.stop();
});

const code = {
  channel: 'email',
  from: { email: 'shop@example.com', name: 'Bells' },
  content: { subject: 'Your code is {{ data.code }}', html: '<p>{{ data.code }}</p>' },
};

const send = (tenant: TestTenant, body: object, key?: string): Promise<ApiAnswer> =>
  api.send('post', '/api/v1/messages', {
    token: tenant.token,
    json: body,
    ...(key === undefined ? {} : { headers: { 'Idempotency-Key': key } }),
  });

const look = (tenant: TestTenant, id: string): Promise<ApiAnswer> =>
  api.send('get', `/api/v1/messages/${id}`, { token: tenant.token });

const untilState = (tenant: TestTenant, id: string, state: string) =>
  until(`the message to be ${state}`, async () => {
    const { body } = await look(tenant, id);
    return body.data.state === state && body.data;
  });

const received = async (address: string) =>
  (await sandboxCalls(ground.sandbox)).filter((call) => JSON.stringify(call).includes(address));

test('a message to an address is with the provider in a moment, and what it said is forgotten', async () => {
  const tenant = await buildTenant(api.deps);
  const to = { email: 'kim@example.com', name: 'Kim' };
  const answer = await send(tenant, { ...code, to, data: { code: '<123>' } });
  expect(answer).toMatchObject({ status: 202, body: { data: { state: 'planned' } } });
  const { id } = answer.body.data;
  expect(answer.headers.get('location')).toBe(`/api/v1/messages/${id}`);

  const message = await untilState(tenant, id, 'accepted');
  expect(message).toMatchObject({
    customerId: null,
    channel: 'email',
    waitsUntil: null,
    attempts: [{ attempt: 1, outcome: 'accepted', provenBy: 'reply', status: 202 }],
  });
  expect(await ground.db('transactional_contents').where({ tenant_id: tenant.tenantId })).toEqual(
    [],
  );
});
