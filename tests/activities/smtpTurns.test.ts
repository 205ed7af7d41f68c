import { createSender } from '../../activities/messages/createSender';
import { createDatabase } from '../../lib/db';
import { testSealing } from '../support/accounts';
import { closeSmtp, oneEmail, openMailSandbox } from '../providers/email/smtpSupport';

afterEach(closeSmtp);

test('a connection without a message lets another block have its turn', async () => {
  const { server } = await openMailSandbox();
  const nowhere = createDatabase({
    url: 'postgres://nobody@127.0.0.1:1/nothing',
    applicationName: 'smtp-turns',
  });
  const sender = createSender(
    {
      db: nowhere,
      sealing: testSealing,
      timeoutMs: 30_000,
      publicUrl: 'http://carillon.test',
      onlyPublic: false,
    },
    { id: 'smtp-test', channel: 'email', senders: [] },
    {
      vendor: 'smtp',
      settings: { host: '127.0.0.1', port: server.port, security: 'none' },
      credentials: { username: 'shop', password: 'secret' },
    },
  );
  const started: number[] = [];
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const blocks = [1, 2, 3, 4].map((n) =>
    sender.inTurn(() => {
      started.push(n);
      return held;
    }, true),
  );
  expect(started).toEqual([1, 2]);
  const { reference, ...mail } = oneEmail();
  expect(await sender.send({ ...mail, channel: 'email' }, reference)).toMatchObject({
    kind: 'accepted',
  });
  expect(started).toEqual([1, 2, 3]);
  letGo();
  await Promise.all(blocks);
  await sender.close();
  await nowhere.destroy();
});
