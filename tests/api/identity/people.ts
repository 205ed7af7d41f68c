import { Secret, TOTP } from 'otpauth';
import { newId } from '../../../lib/ids';
import { until } from '../../support/conditions';
import type { ApiAnswer, TestApi } from '../../support/api';

export const password = 'correct horse battery staple';

/** A registered person with a password, signed in by HTTP. */
export interface TestPerson {
  userId: string;
  tenantId: string;
  email: string;
  accessToken: string;
  refreshToken: string;
}

/** Registers somebody over HTTP. */
export async function registerPerson(
  api: TestApi,
  overrides: Record<string, unknown> = {},
): Promise<TestPerson> {
  const email = `ana-${newId()}@example.com`;
  const answer = await api.send('post', '/api/v1/auth/register', {
    json: { companyName: 'Bells & Co', email, password, ...overrides },
  });
  if (answer.status !== 201) {
    throw new Error(`The registration answered ${answer.status}: ${answer.text}`);
  }
  const { user, tenant, accessToken, refreshToken } = answer.body.data;
  return { userId: user.id, tenantId: tenant.id, email: user.email, accessToken, refreshToken };
}

/** Logs in; `ip` is where from, for an API that trusts its proxy. */
export function logIn(
  api: TestApi,
  { email, ...given }: { email: string; password?: string },
  ip?: string,
): Promise<ApiAnswer> {
  return api.send('post', '/api/v1/auth/login', {
    json: { email, password: given.password ?? password },
    ...(ip === undefined ? {} : { headers: { 'X-Forwarded-For': ip } }),
  });
}

/** Until somebody waits for a row that another transaction holds. */
export async function untilWaiting({ db }: Pick<TestApi, 'db'>): Promise<void> {
  await until('the request waits for the row', async () => {
    const waiting = await db('pg_stat_activity')
      .where({ wait_event_type: 'Lock' })
      .whereRaw('datname = current_database()');
    return waiting.length > 0;
  });
}

/** Asks while a row is held by somebody, who changes it once the request waits for it. */
export async function askWhileChanged<T>(
  api: Pick<TestApi, 'db'>,
  row: { table: string; where: Record<string, unknown>; to: Record<string, unknown> },
  ask: () => Promise<T>,
): Promise<T> {
  const { answer } = await api.db.transaction(async (trx) => {
    await trx(row.table).where(row.where).forUpdate();
    const asked = { answer: ask() };
    await untilWaiting(api);
    await trx(row.table).where(row.where).update(row.to);
    return asked;
  });
  return answer;
}

/** The actions of the audit log about the person's tenant or of nobody, in order. */
export async function auditedActions(api: TestApi, tenantId: string): Promise<string[]> {
  const rows: { action: string }[] = await api
    .db('audit_log')
    .where({ tenant_id: tenantId })
    .orderBy('id')
    .select('action');
  return rows.map(({ action }) => action);
}

/** The newest mail about an account that waits to leave for the address, and the token in its link. */
export async function mailTo(
  api: TestApi,
  email: string,
): Promise<{ subject: string; text: string; html: string; link: string; token: string } | null> {
  const [row] = await api
    .db('transactional_contents')
    .where({ address: email })
    .orderBy('n', 'desc')
    .limit(1)
    .select('content');
  if (row === undefined) {
    return null;
  }
  const { subject, text, html } = row.content;
  const link = /http\S+/.exec(text)?.[0] ?? '';
  return { subject, text, html, link, token: new URL(link).searchParams.get('token') ?? '' };
}

/** The code that an app shows for a seed, so many steps of 30 s from now. */
export function codeOf(secret: string, steps = 0): string {
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate({
    timestamp: Date.now() + steps * 30_000,
  });
}
