import { loadConfig } from '../../../lib/config';
import { ensureTestAccount } from '../../support/accounts';
import { startTestApi, type TestApi } from '../../support/api';
import { campaignBody } from '../../support/campaigns';
import { registerPerson, type TestPerson } from './people';

const message = {
  channel: 'email',
  to: { email: 'somebody@example.com' },
  from: { email: 'shop@example.com' },
  content: { subject: 'Your code', html: '<p>1234</p>' },
};

function sendAs(api: TestApi, { accessToken: token }: TestPerson) {
  return api.send('post', '/api/v1/messages', { token, json: message });
}

describe('at a real vendor', () => {
  let api: TestApi;

  beforeAll(async () => {
    api = await startTestApi();
    await ensureTestAccount(api.deps.db);
  });

  afterAll(() => api.stop());

  test('nobody sends a message before their address is verified', async () => {
    const person = await registerPerson(api);
    const refused = await sendAs(api, person);
    expect([refused.status, refused.body.code]).toEqual([403, 'emailNotVerified']);
    expect(await api.db('transactional_messages').where({ tenant_id: person.tenantId })).toEqual(
      [],
    );

    await api.db('users').where({ id: person.userId }).update({ email_verified_at: new Date() });
    expect((await sendAs(api, person)).status).toBe(202);
  });

  test('nor a campaign, nor a test of one', async () => {
    const person = await registerPerson(api);
    const token = person.accessToken;
    const created = await api.send('post', '/api/v1/campaigns', {
      token,
      json: campaignBody(),
    });
    expect(created.status).toBe(201);
    const path = `/api/v1/campaigns/${created.body.data.id}`;
    for (const [action, json] of [
      ['send', {}],
      ['schedule', { schedule: { kind: 'now' } }],
      ['test-send', { to: ['me@example.com'] }],
    ] as const) {
      const refused = await api.send('post', `${path}/${action}`, { token, json });
      expect([action, refused.status, refused.body.code]).toEqual([
        action,
        403,
        'emailNotVerified',
      ]);
    }
    expect(await api.db('campaign_runs').where({ tenant_id: person.tenantId })).toEqual([]);
  });
});

test.each([
  ['development', 'http://127.0.0.1:8025', 202],
  ['development', 'https://api.eu.sendgrid.com', 403],
  ['production', 'http://127.0.0.1:8025', 403],
] as const)('in %s an account at %s answers %s', async (environment, baseUrl, status) => {
  const api = await startTestApi({
    config: loadConfig([], {
      NODE_ENV: environment,
      PUBLIC_URL: 'https://carillon.test',
    }),
  });
  try {
    await ensureTestAccount(api.deps.db, { baseUrl });
    expect((await sendAs(api, await registerPerson(api))).status).toBe(status);
  } finally {
    await api.stop();
  }
});
