import { z } from 'zod';
import { pendingMigrations } from '../../models/operations/pendingMigrations';
import type { ApiDeps } from '../deps';
import { publicRoute, rawAnswer, rawReply, reply } from '../route';

const Health = z.object({ status: z.literal('ok') }).meta({ id: 'Health' });

const Check = z.object({ ok: z.boolean(), detail: z.string() });

const Readiness = z
  .object({
    status: z.enum(['ready', 'notReady']),
    checks: z.object({ postgres: Check, temporal: Check, migrations: Check }),
  })
  .meta({ id: 'Readiness' });

type CheckResult = z.output<typeof Check>;

const checkTimeoutMs = 2_000;

const health = publicRoute({
  method: 'get',
  path: '/health',
  root: true,
  name: 'health',
  summary: 'Says that the process lives',
  tags: ['operations'],
  answers: { 200: Health },
  async handler() {
    return reply(200, { status: 'ok' as const });
  },
});

const ready = publicRoute({
  method: 'get',
  path: '/ready',
  root: true,
  name: 'ready',
  summary: 'Says whether Postgres, Temporal and the schema are as they must be',
  tags: ['operations'],
  answers: { 200: Readiness, 503: Readiness },
  async handler({ deps }) {
    const checks = await checkAll(deps);
    const isReady = Object.values(checks).every(({ ok }) => ok);
    return isReady
      ? reply(200, { status: 'ready' as const, checks })
      : reply(503, { status: 'notReady' as const, checks }, { headers: { 'Retry-After': '2' } });
  },
});

const metrics = publicRoute({
  method: 'get',
  path: '/metrics',
  root: true,
  name: 'metrics',
  summary: 'Numbers for Prometheus',
  tags: ['operations'],
  answers: { 200: rawAnswer('text/plain; version=0.0.4; charset=utf-8') },
  async handler({ deps }) {
    return rawReply(200, await deps.metrics.metrics());
  },
});

export const operationRoutes = [health, ready, metrics];

async function checkAll(
  deps: ApiDeps,
): Promise<{ postgres: CheckResult; temporal: CheckResult; migrations: CheckResult }> {
  const [postgres, temporal, migrations] = await Promise.all([
    check(async () => {
      await deps.db.raw('select 1');
      return 'answers';
    }),
    check(async () => {
      await deps.temporal.check(checkTimeoutMs - 200);
      return 'answers';
    }),
    check(async () => {
      const pending = await pendingMigrations(deps.db);
      if (pending.length > 0) {
        throw new Error(`${pending.join(', ')} not run yet: npm run migrate`);
      }
      return 'all run';
    }),
  ]);
  return { postgres, temporal, migrations };
}

async function check(ask: () => Promise<string>): Promise<CheckResult> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer within ${checkTimeoutMs} ms`)),
      checkTimeoutMs,
    );
  });
  try {
    return { ok: true, detail: await Promise.race([ask(), tooLate]) };
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? reason(error) : 'failed' };
  } finally {
    clearTimeout(timer);
  }
}

// A driver's message may name users and hosts; its code says as much as a stranger needs.
function reason(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return (
    code ??
    (error.message.startsWith('no answer') || error.message.includes('not run yet')
      ? error.message
      : 'does not answer')
  );
}
