import { testSendGrid } from '../../../providers/email/sendgridConnection';
import { API_KEY, api, closeAll, openSandbox } from '../../sandbox/support';

afterEach(closeAll);

const connection = { region: 'global', timeoutMs: 30_000 } as const;

test('a key of the account is accepted, another one refused, and nothing is sent', async () => {
  const sandbox = await openSandbox({ apiKeys: [API_KEY] });
  const ask = (apiKey: string) =>
    testSendGrid({ ...connection, apiKey, baseUrl: `${sandbox.url}/` });

  expect(await ask(API_KEY)).toEqual({ kind: 'accepted' });
  expect(await ask('SG.of-somebody-else')).toEqual({
    kind: 'refused',
    reason: 'status 401: The provided authorization grant is invalid, expired, or revoked',
  });
  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 0, delivered: 0 });
});

test('an address that is not SendGrid says nothing of the key', async () => {
  const sandbox = await openSandbox();
  const outcome = await testSendGrid({
    ...connection,
    apiKey: API_KEY,
    baseUrl: `${sandbox.url}/elsewhere`,
  });
  expect(outcome).toMatchObject({ kind: 'unreachable' });
});

test('several accounts at once are asked with their own keys', async () => {
  const sandbox = await openSandbox({ apiKeys: ['SG.one', 'SG.two'] });
  const keys = ['SG.one', 'SG.two', 'SG.three', 'SG.one', 'SG.four'];
  const outcomes = await Promise.all(
    keys.map((apiKey) => testSendGrid({ ...connection, apiKey, baseUrl: sandbox.url })),
  );
  expect(outcomes.map(({ kind }) => kind)).toEqual([
    'accepted',
    'accepted',
    'refused',
    'accepted',
    'refused',
  ]);
});
