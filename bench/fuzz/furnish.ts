import {
  createWebhookKeys,
  DEMO_META_ACCOUNT,
  DEMO_OPENROUTER_ACCOUNTS,
  DEMO_TWILIO_ACCOUNT,
  OPENROUTER_PATH,
} from '../../sandbox';
import { createTrackingTokens } from '../../lib/trackingTokens';
import { withTenant } from '../../models/base';
import { campaignBody, smsBody } from '../../tests/support/campaigns';
import type { TestTenant } from '../../tests/support/factories';
import type { ProcessGround } from '../chaos/ground';

/** Signs what is in links and pixels during a run. */
export const trackingSecret = 'a secret of the fuzzing alone that is long enough';

/** SendGrid's key of the tenants' accounts. */
export const sendGridKeys = createWebhookKeys();

/** The path parameters of things there are, by the beginning of the paths they are for. */
export type Facts = Record<string, Record<string, string>>;

/** Writes, as its owner would, a tenant's customers, campaigns, messages and accounts. */
export async function furnish(
  ground: Pick<ProcessGround, 'apiUrl' | 'sandboxUrl' | 'db'>,
  { tenantId, token }: Pick<TestTenant, 'tenantId' | 'token'>,
): Promise<Facts> {
  const post = (path: string, body: unknown) => request(ground.apiUrl, { token, path, body });
  let customerId = '';
  for (let n = 0; n < 5; n += 1) {
    const phone = `+4915112345${n}00`;
    customerId = await post('/customers', { email: `c${n}@example.com`, phone, firstName: 'Ana' });
  }
  await post('/suppressions', { address: 'gone@example.com' });
  const messageId = await post('/messages', {
    channel: 'email',
    to: { email: 'someone@example.com' },
    from: { email: 'shop@example.com' },
    content: { subject: 'Hello', html: '<p>Hello</p>' },
  });
  const form = new FormData();
  form.set('file', new File(['email\nimported@example.com\n'], 'customers.csv'));
  const importId = await post('/customers/upload', form);
  const accountIds = new Map<string, string>();
  for (const account of accountsIn(ground.sandboxUrl)) {
    accountIds.set(account.vendor, await post('/provider-accounts', account));
  }
  await post('/campaigns', smsBody());
  const campaignId = await post('/campaigns', campaignBody());
  await post(`/campaigns/${campaignId}/send`, {});
  const [run] = await withTenant(ground.db, tenantId, (trx) =>
    trx('campaign_runs').where({ tenant_id: tenantId, campaign_id: campaignId }).select('id'),
  );
  const llmAccountId = await post('/llm/accounts', {
    name: 'Models',
    baseUrl: `${ground.sandboxUrl}${OPENROUTER_PATH}`,
  });
  const [secret = ''] = DEMO_OPENROUTER_ACCOUNTS.flatMap(({ keys }) =>
    keys.map((key) => key.secret),
  );
  const llmKeyId = await post('/llm/keys', { accountId: llmAccountId, label: 'Models', secret });
  const budget = { scope: 'tenant', period: 'month', limitMicros: 1_000_000_000 };
  const llmBudgetId = await post('/llm/budgets', budget);
  const tracking = createTrackingTokens([{ id: 1, secret: trackingSecret }]);
  return {
    '/api/v1/tenants/': { id: tenantId },
    '/api/v1/customers/': { id: customerId },
    '/api/v1/campaigns/': { id: campaignId, n: '1' },
    '/api/v1/messages/': { id: messageId },
    '/api/v1/imports/': { id: importId },
    '/api/v1/llm/accounts/': { id: llmAccountId },
    '/api/v1/llm/keys/': { id: llmKeyId },
    '/api/v1/llm/budgets/': { id: llmBudgetId },
    '/t/': { token: tracking.token({ runId: run.id, messageN: 1 }), index: '0' },
    '/webhooks/sendgrid/': { accountId: accountIds.get('sendgrid') ?? '' },
    '/webhooks/twilio/': { accountId: accountIds.get('twilio') ?? '' },
    '/webhooks/meta/': { accountId: accountIds.get('meta') ?? '' },
  };
}

function accountsIn(baseUrl: string) {
  const { accountSid, authToken } = DEMO_TWILIO_ACCOUNT;
  const { phoneNumberId, businessAccountId, accessToken, appSecret, verifyToken } =
    DEMO_META_ACCOUNT;
  return [
    {
      name: 'Mail',
      channel: 'email',
      vendor: 'sendgrid',
      settings: { baseUrl },
      credentials: { apiKey: 'SG.fuzzing', webhookPublicKey: sendGridKeys.publicKeyBase64 },
    },
    {
      name: 'Texts',
      channel: 'sms',
      vendor: 'twilio',
      settings: { accountSid, baseUrl },
      credentials: { authToken },
      senders: [{ address: '+15005550006', name: null }],
    },
    {
      name: 'WhatsApp',
      channel: 'whatsapp',
      vendor: 'meta',
      settings: { phoneNumberId, businessAccountId, baseUrl },
      credentials: { accessToken, appSecret, verifyToken },
    },
  ];
}

/** Posts to the API and answers the id of what was made. */
export async function request(
  apiUrl: string,
  { token, path, body }: { token: string; path: string; body: unknown },
): Promise<string> {
  const isForm = body instanceof FormData;
  const response = await fetch(`${apiUrl}/api/v1${path}`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${token}`,
      ...(isForm ? {} : { 'Content-Type': 'application/json' }),
    },
    body: isForm ? body : JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok) {
    throw new Error(`POST ${path} was answered ${response.status}: ${answer}`);
  }
  return JSON.parse(answer).data.id;
}
