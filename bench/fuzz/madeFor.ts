import type { AccessTokens } from '../../lib/accessTokens';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { campaignBody } from '../../tests/support/campaigns';
import { signInAs } from '../../tests/support/tokens';
import { request } from './furnish';

interface Maker {
  readonly apiUrl: string;
  readonly db: Knex;
  readonly accessTokens: AccessTokens;
  readonly tenantId: string;
  readonly token: string;
}

type Made = Record<string, string>;

const inAMonth = () => new Date(Date.now() + 30 * 24 * 60 * 60_000).toISOString();

/** What is used up by one case is made anew for each: by which paths, and how. */
const makers: readonly (readonly [RegExp, (maker: Maker) => Promise<Made>])[] = [
  [/^\/api\/v1\/campaigns\/\{id\}\/(send|schedule|plan|test-send)$/, draft],
  [/^\/api\/v1\/campaigns\/\{id\}\/(pause|cancel|reschedule)$/, scheduled],
  [
    /^\/api\/v1\/tenants\/\{id\}\/users\/\{userId\}$/,
    async (maker) => ({ userId: await person(maker) }),
  ],
  [/\/invitations\/\{invitationId\}/, invitation],
  [/^\/api\/v1\/llm\/keys\/\{id\}/, modelKey],
  [/^\/api\/v1\/llm\/accounts\/\{id\}/, async (maker) => ({ id: await modelAccount(maker) })],
  [/^\/api\/v1\/llm\/budgets\/\{id\}/, budget],
  [/^\/api\/v1\/admin\/users\/\{id\}/, async (maker) => ({ id: await person(maker) })],
];

/** Makes what an operation's path is for, where it is used up each time. */
export async function makeFor(path: string, maker: Maker): Promise<Made> {
  const [, make] = makers.find(([pattern]) => pattern.test(path)) ?? [];
  return make === undefined ? {} : make(maker);
}

async function draft({ apiUrl, token }: Maker): Promise<{ id: string }> {
  return { id: await request(apiUrl, { token, path: '/campaigns', body: campaignBody() }) };
}

async function scheduled(maker: Maker): Promise<{ id: string }> {
  const { apiUrl, token } = maker;
  const { id } = await draft(maker);
  const body = { schedule: { kind: 'instant', at: inAMonth() } };
  await request(apiUrl, { token, path: `/campaigns/${id}/schedule`, body });
  return { id };
}

async function invitation({ apiUrl, token, tenantId }: Maker): Promise<Made> {
  const body = { email: `${newId()}@example.com`, role: 'viewer' };
  const path = `/tenants/${tenantId}/users`;
  return { invitationId: await request(apiUrl, { token, path, body }) };
}

// Where nobody listens, so that whoever asks there is refused at once.
async function modelAccount({ apiUrl, token }: Maker): Promise<string> {
  const body = { name: `Account ${newId()}`, baseUrl: 'http://127.0.0.1:9/api/v1' };
  return request(apiUrl, { token, path: '/llm/accounts', body });
}

// Of an account where nobody knows it, so that it serves nothing whatever is done to it.
async function modelKey(maker: Maker): Promise<Made> {
  const { apiUrl, token } = maker;
  const accountId = await modelAccount(maker);
  const body = { accountId, secret: `sk-${newId()}`, label: 'Used up', allowedModels: ['none'] };
  return { id: await request(apiUrl, { token, path: '/llm/keys', body }) };
}

async function budget({ apiUrl, token }: Maker): Promise<Made> {
  const body = {
    scope: 'model',
    subject: `made-up/${newId()}`,
    period: 'day',
    limitMicros: 1_000_000,
  };
  return { id: await request(apiUrl, { token, path: '/llm/budgets', body }) };
}

async function person(maker: Maker): Promise<string> {
  const { userId } = await signInAs(maker, { tenantId: maker.tenantId, role: 'viewer' });
  return userId;
}
