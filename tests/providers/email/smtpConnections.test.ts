import { SMTPServer } from 'smtp-server';
import { startSandbox } from '../../../sandbox';
import { api, eventually, quiet } from '../../sandbox/support';
import {
  closeSmtp,
  greet,
  oneEmail,
  openMailSandbox,
  openPlayedServer,
  openProvider,
  takeEnvelope,
  takeMessage,
} from './smtpSupport';

afterEach(closeSmtp);

const notSent = { kind: 'notSent', status: null };

test('nobody listens: not sent', async () => {
  const sandbox = await startSandbox({ port: 0, smtp: { port: 0 }, logger: quiet });
  const port = sandbox.smtp?.port ?? 0;
  await sandbox.close();
  expect(await openProvider(port).send(oneEmail())).toMatchObject({
    ...notSent,
    reason: 'ECONNREFUSED',
  });
});

test('a name that does not resolve: not sent', async () => {
  const provider = openProvider(25, { host: 'mail.invalid' });
  expect(await provider.send(oneEmail())).toMatchObject(notSent);
});

test('a certificate that is not trusted: not sent, and nothing said in clear', async () => {
  const { sandbox, server } = await openMailSandbox();
  const provider = openProvider(server.port, { security: 'starttls' });
  expect(await provider.send(oneEmail())).toMatchObject({
    ...notSent,
    reason: expect.stringMatching(/CERT/),
  });
  expect(await api(sandbox, '/stats')).toMatchObject({ calls: 0 });
});

test('a server without STARTTLS is not spoken to where it is required', async () => {
  const played = await openPlayedServer(async (peer) => {
    await greet(peer);
    await peer.until('STARTTLS\r\n');
    peer.write('502 5.5.1 Not here');
    await peer.until('MAIL FROM');
  });
  const provider = openProvider(played.port, { security: 'starttls' });
  expect(await provider.send(oneEmail())).toMatchObject({ kind: 'notSent' });
});

test('TLS and login work where they are wanted', async () => {
  const sandbox = await startSandbox({
    port: 0,
    smtp: { port: 0, credentials: { user: 'shop', password: 'right' } },
    logger: quiet,
  });
  const options = { security: 'starttls', tls: { rejectUnauthorized: false } } as const;
  const port = sandbox.smtp?.port ?? 0;
  const right = openProvider(port, { ...options, auth: { user: 'shop', password: 'right' } });
  expect(await right.send(oneEmail())).toMatchObject({ kind: 'accepted' });
  const wrong = openProvider(port, { ...options, auth: { user: 'shop', password: 'wrong' } });
  expect(await wrong.send(oneEmail())).toMatchObject({ kind: 'messageRefused', status: 535 });
  const nobody = openProvider(port, options);
  expect(await nobody.send(oneEmail())).toMatchObject({ kind: 'messageRefused', status: 530 });
  await Promise.all([right.close(), wrong.close(), nobody.close()]);
  await sandbox.close();
});

test('TLS from the first byte works, and is not spoken to who has none', async () => {
  const server = new SMTPServer({ secure: true, authOptional: true, logger: false });
  const port = await new Promise<number>((resolve) => {
    const listening = server.listen(0, '127.0.0.1', () => {
      const address = listening.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
  const options = { security: 'tls', tls: { rejectUnauthorized: false } } as const;
  const provider = openProvider(port, options);
  expect(await provider.send(oneEmail())).toMatchObject({ kind: 'accepted' });
  await provider.close();
  await new Promise<void>((resolve) => server.close(() => resolve()));

  const { server: clear } = await openMailSandbox();
  expect(await openProvider(clear.port, options).send(oneEmail())).toMatchObject(notSent);
});

test.each([
  ['421 too many connections', '421 4.7.0 Too many connections', 'throttled'],
  ['554 no mail service', '554 No mail here', 'notSent'],
])('a greeting of %s is classed', async (_, line, kind) => {
  const played = await openPlayedServer(async (peer) => {
    peer.write(line);
    await peer.until('QUIT');
  });
  expect(await openProvider(played.port).send(oneEmail())).toMatchObject({ kind });
});

test('a server that does not greet: not sent', async () => {
  const played = await openPlayedServer(async (peer) => {
    await peer.until('never');
  });
  const provider = openProvider(played.port, { greetingTimeoutMs: 300 });
  expect(await provider.send(oneEmail())).toMatchObject({ ...notSent, reason: 'ETIMEDOUT' });
});

test('a connection lost before the message was asked for: not sent', async () => {
  const played = await openPlayedServer(async (peer) => {
    await greet(peer);
    await takeEnvelope(peer);
    peer.cut();
  });
  expect(await openProvider(played.port).send(oneEmail())).toMatchObject(notSent);
});

test('a sender that is refused is of the message', async () => {
  const played = await openPlayedServer(async (peer) => {
    await greet(peer);
    await peer.until('MAIL FROM');
    peer.write('550 5.1.8 We do not know you');
    await peer.until('RSET\r\n');
    peer.write('250 OK');
    await peer.until('QUIT\r\n');
    peer.write('221 Bye');
  });
  expect(await openProvider(played.port).send(oneEmail())).toMatchObject({
    kind: 'messageRefused',
    status: 550,
  });
});

// More than the buffers between the two take, so that its end cannot have been written.
const large = 'x'.repeat(24 * 1024 * 1024);

test('a connection lost in the middle of the message: not sent', async () => {
  const played = await openPlayedServer(async (peer) => {
    await greet(peer);
    await takeEnvelope(peer);
    peer.write('354 Go on');
    await peer.until('MIME-Version');
    peer.cut();
  });
  const outcome = await openProvider(played.port).send(oneEmail({ html: large }));
  expect(outcome).toMatchObject(notSent);
});

test('a connection lost after the end of the message: in doubt', async () => {
  const played = await openPlayedServer(async (peer) => {
    await greet(peer);
    await takeEnvelope(peer);
    peer.write('354 Go on');
    await peer.until('\r\n.\r\n');
    peer.cut();
  });
  expect(await openProvider(played.port).send(oneEmail())).toMatchObject({ kind: 'inDoubt' });
  expect(played.connections()).toBe(1);
});

test('half an answer is no answer', async () => {
  const played = await openPlayedServer(async (peer) => {
    await greet(peer);
    await takeEnvelope(peer);
    peer.write('354 Go on');
    await peer.until('\r\n.\r\n');
    peer.writePart('250-2.0.0 Queued as\r\n250');
    peer.end();
  });
  expect(await openProvider(played.port).send(oneEmail())).toMatchObject({ kind: 'inDoubt' });
});

test('an idle connection that the server ended is replaced, and the message sent once', async () => {
  let ends = () => {};
  const played = await openPlayedServer(async (peer, n) => {
    await greet(peer);
    await takeMessage(peer);
    if (n === 1) {
      // Ends at the moment it is used again.
      await peer.until('MAIL FROM');
      peer.cut();
      ends();
    } else {
      await peer.until('QUIT\r\n');
      peer.write('221 Bye');
    }
  });
  const ended = new Promise<void>((resolve) => {
    ends = resolve;
  });
  const provider = openProvider(played.port);
  expect(await provider.send(oneEmail())).toMatchObject({ kind: 'accepted' });
  expect(await provider.send(oneEmail())).toMatchObject({ kind: 'accepted' });
  await ended;
  expect(played.connections()).toBe(2);
});

test('a connection that falls silent is not taken for one that had ended', async () => {
  const played = await openPlayedServer(async (peer) => {
    await greet(peer);
    await takeMessage(peer);
    await peer.until('never');
  });
  const provider = openProvider(played.port, { timeoutMs: 3_000 });
  expect(await provider.send(oneEmail())).toMatchObject({ kind: 'accepted' });
  expect(await provider.send(oneEmail())).toMatchObject({
    ...notSent,
    reason: 'no answer within 3000 ms',
  });
  expect(played.connections()).toBe(1);
});

test('messages share connections, never more than allowed', async () => {
  const { sandbox, server, provider } = await openMailSandbox({ maxConnections: 3 });
  const most = { connections: 0 };
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const outcome = await provider.send(oneEmail());
      most.connections = Math.max(most.connections, server.connections());
      return outcome.kind;
    }),
  );
  expect(new Set(outcomes)).toEqual(new Set(['accepted']));
  expect(most.connections).toBeGreaterThan(0);
  expect(most.connections).toBeLessThanOrEqual(3);
  expect(await api(sandbox, '/stats')).toMatchObject({ delivered: 40 });
});

test('tells when the line is empty and a connection has nothing to do, once', async () => {
  const onIdle = jest.fn();
  const { provider } = await openMailSandbox({ maxConnections: 2, onIdle });
  const send = (count: number) =>
    Promise.all(Array.from({ length: count }, () => provider.send(oneEmail())));
  await send(6);
  expect(onIdle).toHaveBeenCalledTimes(1);
  // The other connection has nothing to do all the while.
  await send(1);
  expect(onIdle).toHaveBeenCalledTimes(1);
  await send(2);
  expect(onIdle).toHaveBeenCalledTimes(2);
});

test('a connection is replaced after its share of messages', async () => {
  let quits = 0;
  const played = await openPlayedServer(async (peer) => {
    await greet(peer);
    for (let n = 0; n < 2; n += 1) {
      await takeMessage(peer);
    }
    await peer.until('QUIT\r\n');
    quits += 1;
    peer.write('221 Bye');
  });
  const provider = openProvider(played.port, { maxConnections: 1, maxMessages: 2 });
  for (let n = 0; n < 4; n += 1) {
    expect(await provider.send(oneEmail())).toMatchObject({ kind: 'accepted' });
  }
  await eventually(() => quits === 2);
  expect(played.connections()).toBe(2);
});

test('an idle connection is ended', async () => {
  const { server, provider } = await openMailSandbox({ idleMs: 50 });
  expect(await provider.send(oneEmail())).toMatchObject({ kind: 'accepted' });
  await eventually(() => server.connections() === 0);
});

test('close lets the last message finish, ends all connections and sends no more', async () => {
  const { sandbox, server, provider } = await openMailSandbox();
  const sending = [provider.send(oneEmail()), provider.send(oneEmail())];
  await Promise.all([provider.close(), provider.close()]);
  expect(await Promise.all(sending)).toMatchObject([{ kind: 'accepted' }, { kind: 'accepted' }]);
  await eventually(() => server.connections() === 0);
  expect(await provider.send(oneEmail())).toMatchObject(notSent);
  expect(await api(sandbox, '/stats')).toMatchObject({ delivered: 2 });
});

test('who has waited as long as a call may take is not sent when a connection comes', async () => {
  const played = await openPlayedServer(async (peer, n) => {
    await greet(peer);
    await takeEnvelope(peer);
    peer.write('354 Go on');
    await peer.until(n === 1 ? 'never' : '\r\n.\r\n');
    peer.write('250 OK');
  });
  const provider = openProvider(played.port, { maxConnections: 1, timeoutMs: 3_000 });
  const outcomes = await Promise.all([1, 2, 3].map(() => provider.send(oneEmail())));
  const late = { ...notSent, reason: 'no connection became free in time', retryAfterMs: 0 };
  expect(outcomes).toMatchObject([{ kind: 'inDoubt' }, late, late]);
  expect(await provider.send(oneEmail())).toMatchObject({ kind: 'accepted' });
  expect(played.connections()).toBe(2);
});

test('what may only leave before an instant is not sent after it, and its connection serves others', async () => {
  const leaveByMs = performance.now() + 300;
  const played = await openPlayedServer(async (peer) => {
    await eventually(() => performance.now() >= leaveByMs);
    await greet(peer);
    await takeMessage(peer);
  });
  const provider = openProvider(played.port, { maxConnections: 1 });
  const late = { ...notSent, reason: 'no connection became free in time', retryAfterMs: 0 };
  const outcomes = await Promise.all([
    provider.send(oneEmail(), leaveByMs),
    provider.send(oneEmail(), leaveByMs),
    provider.send(oneEmail()),
  ]);
  expect(outcomes).toMatchObject([late, late, { kind: 'accepted' }]);
  expect(played.connections()).toBe(1);
});

test('a server that never ends its answer to RSET keeps nobody waiting', async () => {
  const played = await openPlayedServer(async (peer, n) => {
    await greet(peer);
    if (n > 1) {
      await takeMessage(peer);
      return;
    }
    await peer.until('MAIL FROM');
    await peer.until('\r\n');
    peer.write('250 OK');
    await peer.until('RCPT TO');
    await peer.until('\r\n');
    peer.write('450 4.2.1 Later');
    await peer.until('RSET\r\n');
    await peer.drip();
  });
  const options = { maxConnections: 1, timeoutMs: 3_000, socketTimeoutMs: 1_000 };
  const provider = openProvider(played.port, options);
  const outcomes = await Promise.all([provider.send(oneEmail()), provider.send(oneEmail())]);
  expect(outcomes).toMatchObject([
    { kind: 'notSent', status: 450 },
    { kind: 'notSent', reason: 'no connection became free in time' },
  ]);
  expect(await provider.send(oneEmail())).toMatchObject({ kind: 'accepted' });
});

test('what cannot be sent leaves its connection to the others', async () => {
  const { sandbox, server, provider } = await openMailSandbox({ maxConnections: 1 });
  const nobody = { email: 'no address', name: null };
  const outcomes = await Promise.all([
    provider.send(oneEmail({ to: nobody })),
    provider.send(oneEmail()),
    provider.send(oneEmail({ to: nobody })),
    provider.send(oneEmail()),
  ]);
  const refused = { kind: 'recipientRefused' };
  const accepted = { kind: 'accepted' };
  expect(outcomes).toMatchObject([refused, accepted, refused, accepted]);
  expect(server.connections()).toBe(1);
  expect(await api(sandbox, '/stats')).toMatchObject({ delivered: 2 });
});
