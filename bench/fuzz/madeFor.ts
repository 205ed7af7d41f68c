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

async function person(maker: Maker): Promise<string> {
  const { userId } = await signInAs(maker, { tenantId: maker.tenantId, role: 'viewer' });
  return userId;
}
