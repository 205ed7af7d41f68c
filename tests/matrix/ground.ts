import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { hashPassword } from '../../lib/passwords';
import { acrossTenants } from '../../models/base';
import type { Role } from '../../domain/identity/permissions';
import { openSession } from '../../models/identity/sessions';
import { sealedPlace } from '../../models/identity/sealedPlaces';
import { postAccount, sendGridBody } from '../api/providerAccounts/ground';
import { testSealing } from '../support/accounts';
import type { TestApi } from '../support/api';
import { buildLedger } from '../support/ledger';
import { insertCustomers } from '../support/records';

/** What everybody in it signs in with. */
export const password = 'a password of some length';

const passwordHash = hashPassword(password);

/** A tenant that has at least one of everything, and the ids of it. */
export interface FullTenant {
  tenantId: string;
  /** Is in all that can be named: none of it may be in an answer to another tenant. */
  secretName: string;
  ownerId: string;
  memberId: string;
  /** The id that each path parameter means, by the path up to it. */
  ids: Readonly<Record<string, string>>;
  /** A new session of a new person with this role, with a second factor shown just now. */
  token(role: Role): Promise<string>;
}

/** A person of the tenant who has just signed in, and their session. */
export async function personOf(
  db: Knex,
  { tenantId, secretName }: Pick<FullTenant, 'tenantId' | 'secretName'>,
  role: Role,
): Promise<{ userId: string; sessionId: string }> {
  const userId = newId();
  const sessionId = newId();
  await acrossTenants(db, 'identity', async (trx) => {
    await trx('users').insert({
      id: userId,
      email: `${secretName}-${userId}@example.com`,
      first_name: secretName,
      password_hash: await passwordHash,
      email_verified_at: trx.fn.now(),
    });
    await trx('memberships').insert({ tenant_id: tenantId, user_id: userId, role });
    await openSession(trx, { id: sessionId, userId, tenantId, mfaAt: new Date() });
  });
  return { userId, sessionId };
}

/** Builds it through the API where there is a way, else as the product's own code does. */
export async function buildFullTenant(api: TestApi, secretName: string): Promise<FullTenant> {
  const { db } = api;
  const { accessTokens } = api.deps;
  const ledger = await buildLedger(db, { customers: 3 });
  const { tenantId, campaignId } = ledger;
  const named = { tenantId, secretName };
  await db('tenants').where({ id: tenantId }).update({ name: secretName });
  const token = async (role: Role) => {
    const { userId, sessionId } = await personOf(db, named, role);
    return accessTokens.issue({ userId, sessionId, tenantId });
  };
  const owner = await personOf(db, named, 'owner');
  const member = await personOf(db, named, 'member');
  const caller = { token: accessTokens.issue({ ...owner, tenantId }) };
  const post = async (path: string, json: unknown): Promise<string> => {
    const answer = await api.send('post', `/api/v1${path}`, { ...caller, json });
    if (answer.status >= 300) {
      throw new Error(`POST ${path} was answered ${answer.status}: ${answer.text}`);
    }
    return answer.body.data.id;
  };
  const [customerId = ''] = await insertCustomers(db, tenantId, [
    { email: `${secretName}@example.com`, firstName: secretName },
  ]);
  const suppressionId = await post('/suppressions', {
    channel: 'email',
    address: `${secretName}.stop@example.com`,
  });
  const account = await postAccount(api, caller, sendGridBody({ name: secretName }));
  const messageId = await post('/messages', {
    channel: 'email',
    to: { customerId },
    from: { email: 'shop@example.com' },
    content: { subject: secretName, html: `<p>${secretName}</p>` },
  });
  const llmAccountId = await post('/llm/accounts', { name: secretName });
  const llmKeyId = await post('/llm/keys', {
    accountId: llmAccountId,
    secret: `sk-${secretName}-${newId()}`,
    label: secretName,
  });
  const llmBudgetId = await post('/llm/budgets', {
    scope: 'key',
    subject: llmKeyId,
    period: 'day',
    limitMicros: 1_000_000,
  });
  const llmCallId = await insertCall(api, { tenantId, secretName });
  const form = new FormData();
  form.append('file', new Blob([`email\n${secretName}.import@example.com\nnone\n`]), 'a.csv');
  const upload = await api.send('post', '/api/v1/customers/upload', { ...caller, body: form });
  const invitationId = newId();
  await db('invitations').insert({
    id: invitationId,
    tenant_id: tenantId,
    email: `${secretName}.invited@example.com`,
    role: 'member',
    hash: Buffer.from(invitationId),
    expires_at: new Date(Date.now() + 3_600_000),
  });
  const apiKeyId = newId();
  await db('api_keys').insert({
    id: apiKeyId,
    tenant_id: tenantId,
    name: secretName,
    prefix: 'ck_none',
    hash: Buffer.from(apiKeyId),
    scopes: ['customer:read'],
  });
  const generationId = newId();
  await db('content_generations').insert({
    id: generationId,
    tenant_id: tenantId,
    campaign_id: campaignId,
    goal: secretName,
    facts: [secretName],
    language: 'en',
    channel: 'email',
    count: 1,
  });
  const testSendId = newId();
  await db('test_sends').insert({
    id: testSendId,
    tenant_id: tenantId,
    campaign_id: campaignId,
    addresses: [`${secretName}@example.com`],
    recipient_count: 1,
  });
  return {
    ...named,
    ownerId: owner.userId,
    memberId: member.userId,
    token,
    ids: {
      '/customers/{id}': customerId,
      '/imports/{id}': upload.body.data.id,
      '/suppressions/{id}': suppressionId,
      '/campaigns/{id}': campaignId,
      '/campaigns/{id}/doubts/{dispatch}': '1',
      '/campaigns/{id}/messages/{n}': '1',
      '/campaigns/{id}/test-sends/{testSendId}': testSendId,
      '/content/generations/{id}': generationId,
      '/messages/{id}': messageId,
      '/provider-accounts/{id}': account.id,
      '/llm/accounts/{id}': llmAccountId,
      '/llm/keys/{id}': llmKeyId,
      '/admin/llm/accounts/{id}': llmAccountId,
      '/admin/llm/keys/{id}': llmKeyId,
      '/llm/budgets/{id}': llmBudgetId,
      '/admin/llm/budgets/{id}': llmBudgetId,
      '/llm/calls/{id}': llmCallId,
      '/admin/llm/calls/{id}': llmCallId,
      '/admin/llm/models/{id}': encodeURIComponent(`${secretName}/model`),
      '/tenants/{id}': tenantId,
      '/tenants/{id}/users/{userId}': member.userId,
      '/tenants/{id}/invitations/{invitationId}': invitationId,
      '/api-keys/{id}': apiKeyId,
      '/auth/sessions/{id}': member.sessionId,
      '/admin/tenants/{id}': tenantId,
      '/admin/users/{id}': member.userId,
    },
  };
}

/** A call of a model that is over, whose words are kept. */
async function insertCall(
  { db }: TestApi,
  { tenantId, secretName }: Pick<FullTenant, 'tenantId' | 'secretName'>,
): Promise<string> {
  const id = newId();
  const model = `${secretName}/model`;
  const soon = new Date(Date.now() + 3_600_000);
  const place = sealedPlace('llmPrompts', { key: [id], tenantId });
  await db('llm_price_snapshots').insert({
    id,
    model,
    prompt_micros_per_million: 1,
    completion_micros_per_million: 1,
    cached_micros_per_million: 1,
    request_micros: 0,
    image_micros: 0,
  });
  await db('llm_models').insert({
    id: model,
    name: model,
    context_tokens: 1_000,
    input_modalities: ['text'],
    output_modalities: ['text'],
    parameters: [],
    price_snapshot_id: id,
    is_enabled: false,
  });
  await db('llm_calls').insert({
    id,
    tenant_id: tenantId,
    feature: 'script',
    workflow_id: secretName,
    kind: 'chat',
    model_asked: model,
    outcome: 'failed',
    estimate_micros: 1,
    cost_micros: 0,
    may_use_platform: true,
    is_streamed: false,
    expires_at: soon,
    settled_at: new Date(),
  });
  await db('llm_prompts').insert({
    call_id: id,
    tenant_id: tenantId,
    content: testSealing.seal(secretName, place),
    expires_at: soon,
  });
  return id;
}
