import { createServer } from 'node:http';
import { testTwilio } from '../../../providers/twilio/connection';
import { DEMO_TWILIO_ACCOUNT } from '../../../sandbox';
import { api, closeAll, openSandbox } from '../../sandbox/support';

const { accountSid, authToken } = DEMO_TWILIO_ACCOUNT;
const timeoutMs = 20_000;

afterEach(closeAll);

test('credentials that are right are accepted, and nothing is sent', async () => {
  const sandbox = await openSandbox();
  const credentials = { authToken };
  expect(await testTwilio({ accountSid, credentials, baseUrl: sandbox.url, timeoutMs })).toEqual({
    kind: 'accepted',
  });
  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 0, delivered: 0 });
});

test.each([
  ['another token', accountSid, 'guess'],
  ['another account', `AC${'9'.repeat(32)}`, authToken],
])('%s is refused, and no secret is told', async (_, sid, token) => {
  const { url: baseUrl } = await openSandbox();
  const credentials = { authToken: token };
  expect(await testTwilio({ accountSid: sid, credentials, baseUrl, timeoutMs })).toEqual({
    kind: 'refused',
    reason: '20003 Authenticate',
  });
});

test.each([
  [200, '{"status":"suspended"}', 'refused', 'the account is suspended'],
  [200, '{"status":"closed"}', 'refused', 'the account is closed'],
  [200, '{}', 'unreachable', 'the answer is not one of Twilio'],
  [200, 'welcome', 'unreachable', 'the answer is not one of Twilio'],
  [403, '', 'refused', '403'],
  [429, '{"code":20429,"message":"too\\u0000many"}', 'unreachable', '20429 too many'],
  [503, '', 'unreachable', '503'],
])('%i %s is %s', async (status, body, kind, reason) => {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const baseUrl = `http://127.0.0.1:${port}`;
  const outcome = await testTwilio({ accountSid, credentials: { authToken }, baseUrl, timeoutMs });
  await new Promise<void>((resolve) => server.close(() => resolve()));
  expect(outcome).toEqual({ kind, reason });
});
