import { createConnectionTests } from '../../../clients/connectionTests';
import type { OpenedAccount } from '../../../domain/messages/accounts/types';
import { testSmtp } from '../../../providers/email/smtpConnection';
import { api, openSandbox } from '../../sandbox/support';
import { closeSmtp, greet, openPlayedServer, smtpOptions } from './smtpSupport';

afterEach(closeSmtp);

const auth = { user: 'mailer', password: 'a password nobody may see' };

test('the right login is accepted and sends nothing, a wrong one is refused', async () => {
  const sandbox = await openSandbox({ smtp: { port: 0, credentials: auth } });
  const server = { ...smtpOptions(sandbox.smtp?.port ?? 0), auth };

  expect(await testSmtp(server)).toEqual({ kind: 'accepted' });
  const wrong = await testSmtp({ ...server, auth: { ...auth, password: 'another' } });
  expect(wrong).toEqual({ kind: 'refused', reason: expect.stringMatching(/^535 /) });
  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 0, delivered: 0 });
});

test.each([
  ['for good', '554 5.7.1 Go away', 'refused'],
  ['for now', '421 4.3.2 Too busy', 'unreachable'],
])('a server that turns everybody away %s is classed', async (_, greeting, kind) => {
  const played = await openPlayedServer(async (peer) => {
    peer.write(greeting);
    peer.end();
  });
  expect(await testSmtp({ ...smtpOptions(played.port), auth })).toMatchObject({
    kind,
    reason: greeting,
  });
});

test('nobody listens: unreachable', async () => {
  const sandbox = await openSandbox({ smtp: { port: 0 } });
  const port = sandbox.smtp?.port ?? 0;
  await closeSmtp();
  expect(await testSmtp({ ...smtpOptions(port), auth })).toEqual({
    kind: 'unreachable',
    reason: 'ECONNREFUSED',
  });
});

test('a server that says nothing is left in time', async () => {
  const played = await openPlayedServer(async (peer) => {
    await greet(peer);
    await peer.until('never');
  });
  const times = { connectionTimeoutMs: 100, greetingTimeoutMs: 100 };
  expect(await testSmtp({ ...smtpOptions(played.port), ...times, auth })).toMatchObject({
    kind: 'unreachable',
  });
});

test('a certificate that is not trusted: unreachable, and no login is said', async () => {
  const sandbox = await openSandbox({ smtp: { port: 0, credentials: auth } });
  const server = { ...smtpOptions(sandbox.smtp?.port ?? 0), security: 'starttls', auth } as const;
  expect(await testSmtp(server)).toEqual({
    kind: 'unreachable',
    reason: expect.stringMatching(/CERT/),
  });
});

test('a server that repeats what it was told brings no secret into the reason', async () => {
  const encoded = Buffer.from(`\u0000${auth.user}\u0000${auth.password}`).toString('base64');
  const played = await openPlayedServer(async (peer) => {
    peer.write('220 played ESMTP');
    await peer.until('\r\n');
    peer.write('250-played', '250 AUTH PLAIN');
    await peer.until('AUTH');
    peer.write(`535 5.7.8 No ${encoded} and no ${auth.password}`);
  });
  expect(await testSmtp({ ...smtpOptions(played.port), auth })).toEqual({
    kind: 'refused',
    reason: '535 5.7.8 No [secret] and no [secret]',
  });
});

describe('the test of a tenant’s account', () => {
  const account = (host: string, port: number): OpenedAccount => ({
    vendor: 'smtp',
    settings: { host, port, security: 'none' },
    credentials: { username: auth.user, password: auth.password },
  });

  test('reaches a mail server of its own machine where that is allowed, and only there', async () => {
    const sandbox = await openSandbox({ smtp: { port: 0, credentials: auth } });
    const port = sandbox.smtp?.port ?? 0;
    const local = createConnectionTests({ timeoutMs: 5_000, onlyPublic: false });
    const guarded = createConnectionTests({ timeoutMs: 5_000, onlyPublic: true });

    expect(await local.test(account('127.0.0.1', port))).toEqual({ kind: 'accepted' });
    for (const host of ['127.0.0.1', 'localhost', '::ffff:7f00:1', '2130706433']) {
      expect(await guarded.test(account(host, port))).toEqual({
        kind: 'unreachable',
        reason: 'the host is not one of the public internet',
      });
    }
  });
});
