import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { createSmsProvider } from '../../../providers/sms';
import type { Sms } from '../../../providers/sms/types';

const accountSid = `AC${'7'.repeat(32)}`;
const sms: Sms = {
  to: '+49301234567',
  sender: { from: '+15005550006' },
  body: 'Grüße & 1+1=2 🔔',
  reference: {
    runId: '019a9d00-0000-7000-8000-00000000000a',
    dispatchN: 12,
    attempt: 3,
    messageN: 4_711,
  },
  statusCallbackUrl: 'https://carillon.example/webhooks/twilio/a?t=1',
};

/** A vendor that answers as told, and what it was sent. */
async function openVendor(status: number, answer: string) {
  const requests: { request: IncomingMessage; body: string; socket: unknown }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      requests.push({ request, body, socket: request.socket });
      response.writeHead(status, { 'content-type': 'application/json' }).end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { baseUrl: `http://127.0.0.1:${port}`, requests, close };
}

async function sendTo(
  vendor: Awaited<ReturnType<typeof openVendor>>,
  messages: Sms[],
  credentials: Parameters<typeof createSmsProvider>[0]['credentials'] = { authToken: 'token' },
) {
  const { baseUrl } = vendor;
  const provider = createSmsProvider({
    vendor: 'twilio',
    accountId: 'account-of-the-test',
    accountSid,
    credentials,
    baseUrl,
    timeoutMs: 20_000,
  });
  const outcomes = [];
  for (const message of messages) {
    outcomes.push(await provider.send(message));
  }
  provider.close();
  await vendor.close();
  return outcomes;
}

const created = JSON.stringify({ sid: `SM${'0a'.repeat(16)}`, status: 'queued' });

test('a call is a form with the text as it is, and our reference in the callback', async () => {
  const vendor = await openVendor(201, created);
  await sendTo(vendor, [{ ...sms, validForSeconds: 3_600 }]);
  const [{ request, body } = { request: null, body: '' }] = vendor.requests;
  expect(request?.method).toBe('POST');
  expect(request?.url).toBe(`/2010-04-01/Accounts/${accountSid}/Messages.json`);
  expect(request?.headers['content-type']).toBe('application/x-www-form-urlencoded');
  expect(request?.headers.authorization).toBe(
    `Basic ${Buffer.from(`${accountSid}:token`).toString('base64')}`,
  );
  expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
    To: '+49301234567',
    From: '+15005550006',
    Body: 'Grüße & 1+1=2 🔔',
    StatusCallback:
      'https://carillon.example/webhooks/twilio/a?t=1&k=019a9d00-0000-7000-8000-00000000000a.12.3.4711',
    ValidityPeriod: '3600',
  });
});

test('a key of the account calls in its name', async () => {
  const vendor = await openVendor(201, created);
  const credentials = { apiKeySid: 'SK1', apiKeySecret: 'secret' };
  await sendTo(vendor, [{ ...sms, statusCallbackUrl: null }], credentials);
  const [{ request, body } = { request: null, body: '' }] = vendor.requests;
  expect(request?.url).toContain(accountSid);
  expect(request?.headers.authorization).toBe(
    `Basic ${Buffer.from('SK1:secret').toString('base64')}`,
  );
  expect(new URLSearchParams(body).has('StatusCallback')).toBe(false);
});

test('connections are kept', async () => {
  const vendor = await openVendor(201, created);
  await sendTo(vendor, [sms, sms, sms]);
  expect(new Set(vendor.requests.map(({ socket }) => socket)).size).toBe(1);
});

test.each([
  ['no JSON', 200, '<html>welcome</html>'],
  ['no message', 201, '{}'],
  ['another thing’s id', 201, '{"sid":"CA1"}'],
  ['nothing', 204, ''],
])('a success with %s in it is in doubt', async (_, status, answer) => {
  const vendor = await openVendor(status, answer);
  expect(await sendTo(vendor, [sms])).toMatchObject([{ kind: 'inDoubt' }]);
});

test('an answer elsewhere is not followed', async () => {
  const vendor = await openVendor(307, '');
  expect(await sendTo(vendor, [sms])).toMatchObject([{ kind: 'messageRefused', status: 307 }]);
  expect(vendor.requests).toHaveLength(1);
});

describe('an answer that does not come whole', () => {
  const head =
    'HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n';

  async function sendOver(
    onConnection: (socket: Socket) => void,
    timeoutMs: number,
    scheme = 'http',
  ) {
    const server = createTcpServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => onConnection(socket));
    });
    const sockets: Socket[] = [];
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const provider = createSmsProvider({
      vendor: 'twilio',
      accountId: 'account-of-the-test',
      accountSid,
      credentials: { authToken: 'token' },
      baseUrl: `${scheme}://127.0.0.1:${port}`,
      timeoutMs,
    });
    const outcome = await provider.send(sms);
    provider.close();
    for (const socket of sockets) {
      socket.destroy();
    }
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return outcome;
  }

  test('is in doubt when its connection ends', async () => {
    const cut = (socket: Socket) => socket.end(`${head}{"sid":"SM`);
    expect(await sendOver(cut, 20_000)).toEqual({
      kind: 'inDoubt',
      status: null,
      reason: 'ECONNRESET',
    });
  });

  test('is in doubt when it drips past the deadline', async () => {
    const drip = (socket: Socket) => {
      socket.write(head);
      const drops = setInterval(() => socket.write(' '), 20);
      socket.once('close', () => clearInterval(drops));
    };
    expect(await sendOver(drip, 3_000)).toEqual({
      kind: 'inDoubt',
      status: null,
      reason: 'ETIMEDOUT',
    });
  });

  test('sent nothing when no secure connection came about', async () => {
    const insecure = (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await sendOver(insecure, 20_000, 'https')).toMatchObject({ kind: 'notSent' });
  });

  test('sent nothing when the deadline comes before a connection', async () => {
    const silent = () => undefined;
    expect(await sendOver(silent, 400, 'https')).toMatchObject({
      kind: 'notSent',
      reason: 'ETIMEDOUT',
    });
  });
});

describe('what the environment says', () => {
  const hostile = {
    HTTP_PROXY: 'http://127.0.0.1:9',
    http_proxy: 'http://127.0.0.1:9',
    TWILIO_ACCOUNT_SID: `AC${'9'.repeat(32)}`,
    TWILIO_AUTH_TOKEN: 'of somebody else',
    TWILIO_REGION: 'au1',
    TWILIO_EDGE: 'sydney',
    TWILIO_CA_BUNDLE: '/nowhere/bundle.pem',
  };
  const before = { ...process.env };

  beforeEach(() => Object.assign(process.env, hostile));
  afterEach(() => {
    process.env = { ...before };
  });

  test('changes nothing', async () => {
    const vendor = await openVendor(201, created);
    // By a name, because an edge or a region would be written into it.
    const baseUrl = vendor.baseUrl.replace('127.0.0.1', 'localhost');
    expect(await sendTo({ ...vendor, baseUrl }, [sms])).toMatchObject([{ kind: 'accepted' }]);
    const [{ request } = { request: null }] = vendor.requests;
    expect(request?.url).toContain(accountSid);
    expect(`http://${request?.headers.host}`).toBe(baseUrl);
  });
});
