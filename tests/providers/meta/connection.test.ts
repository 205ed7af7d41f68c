import { createServer } from 'node:http';
import { testMeta } from '../../../providers/meta/connection';
import { DEMO_META_ACCOUNT } from '../../../sandbox';
import { api, closeAll, openSandbox } from '../../sandbox/support';

const { phoneNumberId, accessToken } = DEMO_META_ACCOUNT;
const timeoutMs = 20_000;

afterEach(closeAll);

test('credentials that are right are accepted, and nothing is sent', async () => {
  const sandbox = await openSandbox();
  expect(await testMeta({ phoneNumberId, accessToken, baseUrl: sandbox.url, timeoutMs })).toEqual({
    kind: 'accepted',
  });
  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 0, delivered: 0 });
});

test.each([
  ['another token', phoneNumberId, 'guess', '190 Invalid OAuth access token'],
  ['another number', '999999999999999', accessToken, '100 Unsupported request'],
])('%s is refused', async (_, number, token, reason) => {
  const { url: baseUrl } = await openSandbox();
  const account = { phoneNumberId: number, accessToken: token, baseUrl, timeoutMs };
  expect(await testMeta(account)).toEqual({
    kind: 'refused',
    reason: expect.stringContaining(reason),
  });
});

const id = JSON.stringify(phoneNumberId);
test.each([
  [200, `{"id":${id},"status":"CONNECTED"}`, 'accepted', undefined],
  [200, `{"id":${id}}`, 'accepted', undefined],
  [200, `{"id":${id},"status":"BANNED"}`, 'refused', 'the number is banned'],
  [200, '{"id":"1"}', 'unreachable', 'the answer is not one of Meta'],
  [200, '[]', 'unreachable', 'the answer is not one of Meta'],
  [200, 'welcome', 'unreachable', 'the answer is not one of Meta'],
  [403, '', 'refused', '403'],
  [
    400,
    '{"error":{"code":10,"message":"(#10) Permission\\u0000denied"}}',
    'refused',
    '10 Permission denied',
  ],
  [400, '{"error":{"code":80007,"message":"too many"}}', 'unreachable', '80007 too many'],
  [500, '{"error":{"code":131000,"message":"wrong"}}', 'unreachable', '131000 wrong'],
  [503, '', 'unreachable', '503'],
  [302, '', 'unreachable', '302'],
])('%i %s is %s', async (status, body, kind, reason) => {
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`, request.headers.authorization);
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const outcome = await testMeta({
    phoneNumberId,
    accessToken,
    apiVersion: 'v24.0',
    baseUrl: `http://127.0.0.1:${port}`,
    timeoutMs,
  });
  await new Promise<void>((resolve) => server.close(() => resolve()));
  expect(outcome).toEqual(reason === undefined ? { kind } : { kind, reason });
  expect(asked).toEqual([`GET /v24.0/${phoneNumberId}?fields=id,status`, `Bearer ${accessToken}`]);
});
