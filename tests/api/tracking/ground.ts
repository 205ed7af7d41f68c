import { loadConfig } from '../../../lib/config';
import { createDatabase } from '../../../lib/db';
import { createTrackingTokens } from '../../../lib/trackingTokens';
import { acrossTenants } from '../../../models/base';
import { applyEvents, type AppliedEvents } from '../../../models/messages/events';
import { startTestApi, type ApiAnswer, type TestApi } from '../../support/api';
import { buildLedger, type TestLedger } from '../../support/ledger';

/** As the API of the tests checks them. */
export const tokens = createTrackingTokens([
  { id: 1, secret: 'another secret of the tests, long enough' },
]);

export const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

/** The API with a planned run of three messages, and what its recipients' programs do. */
export interface TrackingGround {
  api: TestApi;
  ledger: TestLedger;
  tokenOf(messageN: number): string;
  /** Tokens that no address of ours holds. */
  wrongTokens(): string[];
  /** Comes from a person's browser out in the world, unless the headers say otherwise. */
  get(path: string, userAgent?: string, headers?: Record<string, string>): Promise<ApiAnswer>;
  /** The call of all messages was so long ago. */
  handedOver(ago: string): Promise<void>;
  stored(): Promise<Record<string, unknown>[]>;
  apply(): Promise<AppliedEvents>;
  message(n: number): Promise<Record<string, unknown>>;
  suppressions(tenantId?: string): Promise<Record<string, unknown>[]>;
}

export async function buildTracking(api: TestApi): Promise<TrackingGround> {
  const { db } = api;
  await db('message_events').delete();
  const ledger = await buildLedger(db, { customers: 3 });
  const tokenOf = (messageN: number) => tokens.token({ runId: ledger.run.id, messageN });
  return {
    api,
    ledger,
    tokenOf,
    wrongTokens() {
      const right = tokenOf(1);
      const stranger = createTrackingTokens([{ id: 1, secret: 'a secret of somebody else' }]);
      return [
        'x',
        '%00',
        '%E0%A4%A',
        `${right}A`,
        right.slice(0, -1),
        `${right.startsWith('A') ? 'B' : 'A'}${right.slice(1)}`,
        stranger.token({ runId: ledger.run.id, messageN: 1 }),
        encodeURIComponent('https://evil.example/'),
        'x'.repeat(1_999),
      ];
    },
    get: (path, userAgent = firefox, headers = {}) =>
      api.send('get', path, {
        headers: { 'User-Agent': userAgent, 'X-Forwarded-For': '198.51.100.7', ...headers },
      }),
    async handedOver(ago) {
      await db('dispatches')
        .where({ run_id: ledger.run.id })
        .update({ called_at: db.raw('clock_timestamp() - cast(? as interval)', [ago]) });
    },
    stored: async () => db('message_events').orderBy('id'),
    apply: () => acrossTenants(db, 'eventApply', (trx) => applyEvents(trx, 1000)),
    message: async (n) => db('messages').where({ run_id: ledger.run.id, n }).first(),
    suppressions: async (tenantId = ledger.tenantId) =>
      db('suppressions').where({ tenant_id: tenantId }).orderBy('address'),
  };
}

/** The API behind a proxy that says where a request came from. */
export function startTrackingApi(): Promise<TestApi> {
  return startTestApi({ config: loadConfig([], { NODE_ENV: 'test', TRUST_PROXY: 'true' }) });
}

/** Runs the work while the clock of this process says this; timers go on as they do. */
export async function atTime(time: string, work: () => Promise<void>): Promise<void> {
  jest.useFakeTimers({
    now: new Date(time),
    doNotFake: [
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ],
  });
  try {
    await work();
  } finally {
    jest.useRealTimers();
  }
}

/** Runs the work on an API whose database cannot be reached. */
export async function withoutDatabase(work: (lost: TestApi) => Promise<void>): Promise<void> {
  const db = createDatabase({ url: 'postgres://nobody@127.0.0.1:1/none', applicationName: 'test' });
  const lost = await startTestApi({ db });
  try {
    await work(lost);
  } finally {
    await lost.stop();
    await db.destroy();
  }
}

/** Runs the work while events cannot be stored and everything else can. */
export async function withBrokenEvents(api: TestApi, work: () => Promise<void>): Promise<void> {
  await api.db.raw(`
    create function refuse_events() returns trigger language plpgsql as
      $$ begin raise exception 'no events today'; end $$;
    create trigger refuse_events before insert on message_events
      for each row execute function refuse_events();`);
  try {
    await work();
  } finally {
    await api.db.raw('drop trigger refuse_events on message_events; drop function refuse_events');
  }
}
