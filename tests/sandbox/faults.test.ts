import type { Sandbox } from '../../sandbox';
import {
  api,
  closeAll,
  eventually,
  mailRequest,
  openSandbox,
  sendRaw,
  sendTo,
  setFaults,
} from './support';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox();
});
afterEach(closeAll);

const stats = () =>
  api<{ delivered: number; accepted: number; refused: object; dropped: object }>(sandbox, '/stats');
const calls = async () =>
  (
    await api<{ items: { status: unknown; fault?: string; messageId: string | null }[] }>(
      sandbox,
      '/calls',
    )
  ).items;

test('a dropped answer leaves the mail accepted', async () => {
  await setFaults(sandbox, { dropAfterAccept: 1, count: 1 });
  await expect(sendTo(sandbox, ['ana@example.com'])).rejects.toThrow('fetch failed');
  expect(await stats()).toMatchObject({ delivered: 1, dropped: { after: 1, before: 0 } });
  expect(await calls()).toMatchObject([
    { status: 'dropped', fault: 'dropAfterAccept', messageId: expect.any(String) },
  ]);
  expect((await sendTo(sandbox, ['bo@example.com'])).status).toBe(202);
});

test('a connection cut early leaves nothing accepted', async () => {
  await setFaults(sandbox, { dropBeforeAccept: 1 });
  await expect(sendTo(sandbox, ['ana@example.com'])).rejects.toThrow('fetch failed');
  expect(await stats()).toMatchObject({ delivered: 0, dropped: { before: 1 } });
});

test('throttling says when to come back', async () => {
  await setFaults(sandbox, { rate429: 1, retryAfterSeconds: 7 });
  const before = Date.now() / 1_000;
  const answer = await sendTo(sandbox, ['ana@example.com']);
  expect(answer).toMatchObject({
    status: 429,
    errors: [{ field: null, message: 'too many requests' }],
  });
  expect(answer.headers.get('retry-after')).toBe('7');
  expect(answer.headers.get('x-ratelimit-remaining')).toBe('0');
  const reset = Number(answer.headers.get('x-ratelimit-reset'));
  expect(reset).toBeGreaterThanOrEqual(Math.floor(before) + 7);
  expect(reset).toBeLessThanOrEqual(Math.ceil(Date.now() / 1_000) + 7);
  expect(await stats()).toMatchObject({ delivered: 0, refused: { 429: 1 } });
});

test('a server error accepts nothing, unless it is the nasty kind', async () => {
  await setFaults(sandbox, { rate5xx: 1, status5xx: 503 });
  expect((await sendTo(sandbox, ['ana@example.com'])).status).toBe(503);
  expect((await stats()).delivered).toBe(0);
  await setFaults(sandbox, { rate5xx: 1, acceptOn5xx: true });
  expect((await sendTo(sandbox, ['ana@example.com'])).status).toBe(500);
  expect((await stats()).delivered).toBe(1);
});

test('a refusal of everything is told as asked for', async () => {
  await setFaults(sandbox, {
    refuse: {
      status: 403,
      errors: [
        { message: 'The from address does not match a verified Sender Identity.', field: 'from' },
      ],
    },
  });
  expect(await sendTo(sandbox, ['ana@example.com'])).toMatchObject({
    status: 403,
    errors: [{ field: 'from', help: null }],
  });
});

test('rejected recipients are named by their place', async () => {
  await setFaults(sandbox, { rejectRecipients: ['Bo@example.com'] });
  const answer = await sendTo(sandbox, ['ana@example.com', 'bo@example.com', 'cy@example.com']);
  expect(answer).toMatchObject({
    status: 400,
    errors: [
      { field: 'personalizations.1.to.0.email', message: 'Does not contain a valid address.' },
    ],
  });
  expect((await sendTo(sandbox, ['ana@example.com'])).status).toBe(202);
});

test('latency comes after acceptance', async () => {
  await setFaults(sandbox, { latencyMs: 400 });
  const started = Date.now();
  expect((await sendTo(sandbox, ['ana@example.com'])).status).toBe(202);
  expect(Date.now() - started).toBeGreaterThanOrEqual(395);

  await setFaults(sandbox, { latencyMs: 600_000 });
  const ended = jest.fn();
  const answer = sendTo(sandbox, ['bo@example.com']).then(ended, ended);
  await eventually(async () => (await stats()).delivered === 2);
  expect(ended).not.toHaveBeenCalled();
  await closeAll();
  await answer;
});

test('a hanging call is never answered and does not keep the sandbox from closing', async () => {
  await setFaults(sandbox, { hang: true });
  const answer = sendTo(sandbox, ['ana@example.com']).catch(() => 'cut');
  await eventually(async () => (await calls())[0]?.status === 'hung');
  await closeAll();
  expect(await answer).toBe('cut');
});

test('only calls that hold the text meet the fault, and only so many', async () => {
  await setFaults(sandbox, { rate429: 1, match: 'run-7', count: 2 });
  const statuses: number[] = [];
  for (const run of ['run-1', 'run-7', 'run-7', 'run-7']) {
    const answer = await sendRaw(sandbox, mailRequest({ custom_args: { carillon_r: run } }));
    statuses.push(answer.status);
  }
  expect(statuses).toEqual([202, 429, 429, 202]);
});

test('a seed repeats the same sequence', async () => {
  const play = async () => {
    await setFaults(sandbox, { rate429: 0.3, rate5xx: 0.3, seed: 42 });
    const statuses: number[] = [];
    for (let n = 0; n < 30; n += 1) {
      statuses.push((await sendTo(sandbox, [`p${n}@example.com`])).status);
    }
    return statuses;
  };
  const first = await play();
  expect(await play()).toEqual(first);
  expect(new Set(first)).toEqual(new Set([202, 429, 500]));
});

test('faults are shown, replaced as a whole and removed', async () => {
  await setFaults(sandbox, { rate429: 0.5, latencyMs: 3 });
  await setFaults(sandbox, { rate5xx: 0.1 });
  expect(await api(sandbox, '/faults')).toEqual({ rate5xx: 0.1 });
  expect(await api(sandbox, '/faults', 'DELETE')).toEqual({});
  await expect(setFaults(sandbox, { rate429: 2 })).rejects.toThrow('rate429');
  await expect(setFaults(sandbox, { nonsense: 1 })).rejects.toThrow('400');
});

test('a caller who goes away before the answer is noted, its mail stays', async () => {
  await setFaults(sandbox, { latencyMs: 60_000 });
  const caller = new AbortController();
  const answer = fetch(`${sandbox.url}/v3/mail/send`, {
    method: 'POST',
    headers: { authorization: 'Bearer SG.x', 'content-type': 'application/json' },
    body: JSON.stringify(mailRequest()),
    signal: caller.signal,
  }).catch(() => 'given up');
  await eventually(async () => (await stats()).delivered === 1);
  caller.abort();
  expect(await answer).toBe('given up');
  await eventually(async () => (await calls())[0]?.status === 'aborted');
});
