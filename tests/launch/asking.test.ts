import { once } from 'node:events';
import { createServer } from 'node:http';
import { keepAsking } from '../../workers/launch/demo/asking';

test('signs in once, goes on after a failure, and ends when nothing may be spent any more', async () => {
  const asked: string[] = [];
  const answers = [500, 200, 402];
  const server = createServer((request, response) => {
    request.resume();
    const isChat = request.url === '/llm/chat';
    const status = isChat ? (answers[asked.filter((one) => one === 'chat').length] ?? 500) : 200;
    asked.push(isChat ? 'chat' : 'login');
    response
      .writeHead(status)
      .end(JSON.stringify({ data: isChat ? { text: 'Brass.' } : { accessToken: 'token' } }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const account = { email: 'owner@example.com', password: 'a password' };
  const asking = keepAsking(`http://127.0.0.1:${port}`, account, { intervalMs: 20 });
  try {
    await asking.ended;
    expect(asked).toEqual(['login', 'chat', 'chat', 'chat']);
  } finally {
    asking.stop();
    server.closeAllConnections();
    server.close();
  }
});
