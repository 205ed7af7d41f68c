import { newId } from '../../../lib/ids';
import { withTenant } from '../../../models/base';
import { endRun } from '../../../models/campaigns/runs';
import { settleCall } from '../../../models/messages/settle';
import { startTestApi, type TestApi } from '../../support/api';
import { campaignsPath } from '../../support/campaigns';
import { buildTenant } from '../../support/factories';
import { buildReportedLedger, type ReportedLedger } from '../../support/reports';
import { tokenFor } from '../../support/tokens';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

const known = 'The provider’s support found it in their logs';

test('lists what is known of each call, in pages', async () => {
  const ledger = await inDoubt({ zones: ['Europe/Paris', 'Asia/Tokyo'] });
  await callAndDoubt(ledger);
  const first = await ledger.get('/doubts?perPage=1');
  expect(first.body).toMatchObject({
    data: [
      {
        dispatch: 1,
        attempt: 1,
        state: 'inDoubt',
        messages: 1,
        reason: 'ECONNRESET',
        status: null,
        calledAt: expect.any(String),
        doubtUntil: expect.any(String),
        policy: 'hold',
        provenBy: null,
        lookUps: { times: 0, lastAt: null, nextAt: null, answer: null, reason: null },
        acceptedAttempts: 0,
      },
    ],
    meta: { page: 1, perPage: 1, total: 2, pages: 2 },
  });
  const next = await ledger.get(`/doubts?perPage=1&cursor=${first.body.meta.nextCursor}`);
  expect(next.body.data).toMatchObject([{ dispatch: 2 }]);
  expect((await ledger.get('/doubts?kind=unconfirmed')).body.data).toEqual([]);
  expect((await ledger.get('/doubts?kind=inDoubt&sort=-dispatch')).body.data).toMatchObject([
    { dispatch: 2 },
    { dispatch: 1 },
  ]);
});

test.each([
  ['accepted', 'accepted', 'operator'],
  ['notSent', 'planned', 'operator'],
  ['unconfirmed', 'unconfirmed', null],
] as const)(
  '%s makes the dispatch %s, once, and stands in the log',
  async (as, state, provenBy) => {
    const ledger = await inDoubt();
    const settled = await settle(ledger, { as, reason: known });
    expect([settled.status, settled.body.data]).toMatchObject([
      200,
      { dispatch: 1, state, attempt: 1, provenBy, doubtUntil: null },
    ]);
    const again = await settle(ledger, { as, reason: 'Once more', attempt: 1 });
    expect([again.status, again.body.data]).toEqual([200, settled.body.data]);
    const logs = await ledger.get('/logs?kind=doubtSettled');
    expect(logs.body.data).toMatchObject([
      {
        actor: { kind: 'user', id: expect.any(String) },
        detail: { dispatch: 1, attempt: 1, as, reason: known, messages: 3 },
      },
    ]);
  },
);

test('what was found out meanwhile is not written over', async () => {
  const ledger = await inDoubt();
  await settle(ledger, { as: 'accepted', reason: known });
  for (const as of ['notSent', 'unconfirmed']) {
    const late = await settle(ledger, { as, reason: known });
    expect([late.status, late.body.code]).toEqual([409, 'doubtMoved']);
  }
  expect(await ledger.dispatch(1)).toMatchObject({ state: 'accepted' });
  expect((await ledger.get('/logs?kind=doubtSettled')).body.data).toHaveLength(1);
});

test('an attempt that was not looked at is not settled', async () => {
  const ledger = await inDoubt();
  await settle(ledger, { as: 'notSent', reason: known });
  const again = await ledger.claim({ wave: ledger.wave(2) });
  expect(again.kind === 'claimed' && (await ledger.gate(again.dispatch)).kind).toBe('open');
  await doubt(ledger, { dispatchN: 1, attempt: 2 });
  const late = await settle(ledger, { as: 'accepted', reason: known, attempt: 1 });
  expect([late.status, late.body.code]).toEqual([409, 'doubtMoved']);
  expect((await settle(ledger, { as: 'accepted', reason: known, attempt: 2 })).status).toBe(200);
});

test('a call that was never in doubt cannot be settled', async () => {
  const ledger = await buildReportedLedger(api);
  const answer = await settle(ledger, { as: 'accepted', reason: known });
  expect([answer.status, answer.body.code]).toEqual([409, 'doubtMoved']);
  expect(await ledger.dispatch(1)).toMatchObject({ state: 'planned' });
});

test('the doubts of a whole run are settled at once', async () => {
  const ledger = await inDoubt({ zones: ['Europe/Paris', 'Asia/Tokyo'] });
  await callAndDoubt(ledger);
  const body = { as: 'accepted', reason: known };
  const settled = await post(ledger, '/doubts/settle', body);
  expect([settled.status, settled.body.data]).toEqual([
    200,
    { dispatches: 2, messages: 3, left: 0 },
  ]);
  const again = await post(ledger, '/doubts/settle', body);
  expect(again.body.data).toEqual({ dispatches: 0, messages: 0, left: 0 });
  expect((await ledger.get('/logs?kind=doubtsSettled')).body.data).toMatchObject([
    { detail: { as: 'accepted', reason: known, dispatches: 2, messages: 3 } },
  ]);
});

test('after the end of a run an unconfirmed call is corrected, and nothing is sent again', async () => {
  const ledger = await inDoubt();
  await settle(ledger, { as: 'unconfirmed', reason: known });
  const { tenantId, run } = ledger;
  await withTenant(api.deps.db, tenantId, (trx) =>
    endRun(trx, {
      tenantId,
      runId: run.id,
      state: 'completed',
      actor: { kind: 'system', id: null },
    }),
  );
  const settled = await settle(ledger, { as: 'notSent', reason: known });
  expect(settled.body).toMatchObject({
    data: { state: 'cancelled' },
    meta: { workflow: 'ended' },
  });
});

test('the same Idempotency-Key answers the same', async () => {
  const ledger = await inDoubt();
  const headers = { 'Idempotency-Key': newId() };
  const body = { as: 'notSent', reason: known };
  const first = await settle(ledger, body, { headers });
  const second = await settle(ledger, body, { headers });
  expect(second.text).toBe(first.text);
  expect(second.headers.get('Idempotency-Replayed')).toBe('true');
});

test('two people at once: one is heard, the other is told', async () => {
  const ledger = await inDoubt();
  const answers = await Promise.all(
    ['accepted', 'notSent'].map((as) => settle(ledger, { as, reason: known })),
  );
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
  expect((await ledger.get('/logs?kind=doubtSettled')).body.data).toHaveLength(1);
});

test.each([
  [{}, 'as'],
  [{ as: 'delivered', reason: known }, 'as'],
  [{ as: 'accepted' }, 'reason'],
  [{ as: 'accepted', reason: ' ' }, 'reason'],
  [{ as: 'accepted', reason: 'a\u0000b' }, 'reason'],
  [{ as: 'accepted', reason: 'x'.repeat(201) }, 'reason'],
  [{ as: 'accepted', reason: known, attempt: 0 }, 'attempt'],
  [{ as: 'accepted', reason: known, attempt: 2 ** 31 }, 'attempt'],
  [{ as: 'accepted', reason: known, force: true }, 'force'],
])('refuses %j, naming the field', async (body, path) => {
  const ledger = await inDoubt();
  const answer = await settle(ledger, body);
  expect(answer.status).toBe(422);
  expect(answer.body.errors.map((each: { path: string }) => each.path)).toContain(path);
  expect(await ledger.dispatch(1)).toMatchObject({ state: 'in_doubt' });
});

test('who may not steer, and who is of another tenant, settles nothing', async () => {
  const ledger = await inDoubt();
  const { token: stranger } = await buildTenant(api.deps);
  const viewer = await tokenFor(api.deps, ledger.tenantId, 'viewer');
  const body = { as: 'accepted', reason: known };
  for (const path of ['/doubts/1/settle', '/doubts/settle']) {
    const statuses = await Promise.all(
      [undefined, viewer, stranger].map(
        async (token) => (await post(ledger, path, body, { token })).status,
      ),
    );
    expect(statuses).toEqual([401, 403, 404]);
  }
  expect(await ledger.dispatch(1)).toMatchObject({ state: 'in_doubt' });
});

test.each(['0', '7', 'x', '1e3', '9'.repeat(12)])('there is no dispatch %s', async (n) => {
  const ledger = await inDoubt();
  const answer = await post(ledger, `/doubts/${n}/settle`, { as: 'accepted', reason: known });
  expect([answer.status, answer.body.code]).toEqual([404, 'dispatchNotFound']);
});

type Options = Parameters<typeof buildReportedLedger>[1];

async function inDoubt(options: Options = {}): Promise<ReportedLedger> {
  const ledger = await buildReportedLedger(api, options);
  await callAndDoubt(ledger);
  return ledger;
}

async function callAndDoubt(ledger: ReportedLedger): Promise<void> {
  const dispatch = await ledger.claimed();
  await ledger.gate(dispatch);
  await doubt(ledger, { dispatchN: dispatch.n, attempt: 1 });
}

async function doubt(
  { tenantId, run }: ReportedLedger,
  call: { dispatchN: number; attempt: number },
): Promise<void> {
  await withTenant(api.deps.db, tenantId, (trx) =>
    settleCall(
      trx,
      { tenantId, runId: run.id, ...call },
      { outcome: 'in_doubt', status: null, reason: 'ECONNRESET' },
    ),
  );
}

function settle(
  ledger: ReportedLedger,
  json: unknown,
  options: Parameters<TestApi['send']>[2] = {},
) {
  return post(ledger, '/doubts/1/settle', json, options);
}

function post(
  { campaignId, token }: ReportedLedger,
  path: string,
  json: unknown,
  options: Parameters<TestApi['send']>[2] = {},
) {
  return api.send('post', `${campaignsPath}/${campaignId}${path}`, { token, json, ...options });
}
