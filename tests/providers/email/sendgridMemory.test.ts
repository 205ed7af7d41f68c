import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { createSendGrid } from '../../../providers/email/sendgrid';
import type { EmailDraft } from '../../../providers/email/types';

const accepted = 'HTTP/1.1 202 Accepted\r\nx-message-id: m\r\ncontent-length: 0\r\n\r\n';

// More than the system buffers for a server that does not read.
const recipients = 8_000;
const letters = 1_000;

test('a reply before the whole request is written leaves its bytes alone', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port }: AddressInfo = JSON.parse(JSON.stringify(server.address()));
  const provider = createSendGrid({
    accountId: 'a',
    apiKey: 'SG.test',
    baseUrl: `http://127.0.0.1:${port}`,
    timeoutMs: 10_000,
  });

  const connected = once(server, 'connection');
  const first = fill(provider.draft(), 'a').send(message(1), new Set());
  const [socket]: net.Socket[] = await connected;
  if (socket === undefined) {
    throw new Error('nobody has connected');
  }
  socket.pause();
  socket.write(accepted);
  expect(await first).toMatchObject({ kind: 'accepted' });
  fill(provider.draft(), 'b');

  const chunks: Buffer[] = [];
  for await (const chunk of socket) {
    chunks.push(chunk);
    if (chunk.subarray(-2).toString() === '}}') {
      break;
    }
  }
  const received = Buffer.concat(chunks).toString('latin1');
  expect(received.match(/a{1000}/g)).toHaveLength(recipients);
  expect(received).not.toContain('bb');
  socket.destroy();
  server.close();
});

function fill(draft: EmailDraft, letter: string): EmailDraft {
  for (let n = 1; n <= recipients; n += 1) {
    draft.add({
      messageN: n,
      email: `${n}@example.com`,
      name: null,
      substitutionsJson: JSON.stringify({ '-token-': letter.repeat(letters) }),
      unsubscribeUrl: null,
    });
  }
  return draft;
}

function message(dispatchN: number) {
  return {
    from: { email: 'shop@example.com', name: null },
    replyTo: null,
    subject: 'Hi',
    html: '<p>-token-</p>',
    text: '',
    reference: { runId: '01a1fe54-8426-7296-8b0a-8012772923ae', dispatchN, attempt: 1 },
  };
}
