import { sendGridBody } from '../api/providerAccounts/ground';
import { campaignBody } from '../support/campaigns';
import { password, type FullTenant } from './ground';

const now = { schedule: { kind: 'now' } };

/**
 * A body that is right in itself for each operation that takes one, and names what is the other
 * tenant's wherever it names something. What is not here is sent as `{}`.
 */
export function bodyFor(operation: string, other: FullTenant): object {
  const { ids, tenantId } = other;
  const audience = { customerIds: [ids['/customers/{id}']] };
  const bodies: Record<string, object> = {
    replaceMe: { firstName: 'Ada', lastName: 'L', language: 'en', timeZone: 'UTC' },
    replacePassword: { current: password, new: 'quite another phrase of mine' },
    createTenant: { name: 'Another one' },
    replaceTenant: { name: 'Taken over', timeZone: 'UTC', defaultLanguage: 'en' },
    switchTenant: { tenantId },
    verifyMfa: { code: '000000' },
    stepUp: { password },
    joinTenant: { token: 'a token of nobody’s' },
    changeRole: { role: 'viewer' },
    replaceSubscription: { plan: 'enterprise' },
    createCustomer: { email: 'a.customer@example.com' },
    replaceCustomer: { email: 'taken.over@example.com' },
    changeCustomer: { firstName: 'Taken over' },
    addSuppression: { channel: 'email', address: 'somebody@example.com' },
    createCampaign: campaignBody({ audience }),
    replaceCampaign: campaignBody(),
    changeCampaign: { name: 'Taken over' },
    planCampaign: now,
    scheduleCampaign: now,
    sendCampaign: {},
    rescheduleCampaign: now,
    replaceSendingRules: {
      quietHours: null,
      frequencyCaps: { email: null, sms: null, whatsapp: null },
    },
    settleCampaignDoubt: { as: 'accepted', reason: 'taken over', attempt: 1 },
    settleCampaignDoubts: { as: 'accepted', reason: 'taken over' },
    sendMessage: {
      channel: 'email',
      to: { customerId: ids['/customers/{id}'] },
      from: { email: 'shop@example.com' },
      content: { subject: 'Taken over', html: '<p>x</p>' },
    },
    previewCampaign: { customerId: ids['/customers/{id}'] },
    sendCampaignTest: { to: ['author@example.com'], customerId: ids['/customers/{id}'] },
    createProviderAccount: sendGridBody({ name: 'Taken over' }),
    replaceProviderAccount: sendGridBody({ name: 'Taken over' }),
    changeProviderAccount: { name: 'Taken over' },
    replaceProviderLimits: { limits: [{ per: 'minute', unit: 'messages', most: 10 }] },
    createLlmAccount: { name: 'Taken over' },
    changeLlmAccount: { name: 'Taken over' },
    createLlmKey: {
      accountId: ids['/llm/accounts/{id}'],
      secret: 'sk-taken-over',
      label: 'Taken over',
    },
    changeLlmKey: { label: 'Taken over' },
    createLlmBudget: {
      scope: 'key',
      subject: ids['/llm/keys/{id}'],
      period: 'month',
      limitMicros: 1_000_000,
    },
    replaceLlmBudget: { limitMicros: 1 },
    replaceLlmSettings: { keySource: 'own' },
    changePlatformLlmModel: { isEnabled: false },
    rotateLlmKey: { secret: 'sk-or-v1-taken-over' },
    replaceLlmKey: { secret: 'sk-or-v1-taken-over' },
    askModel: { messages: [{ role: 'user', content: 'Hello' }] },
    generateContent: {
      goal: 'Taken over',
      facts: ['Taken over'],
      language: 'en',
      channel: 'email',
      campaignId: ids['/campaigns/{id}'],
    },
    inviteMember: { email: 'new.member@example.com', role: 'owner' },
    createApiKey: { name: 'Taken over', scopes: ['customer:read'] },
    changeApiKey: { name: 'Taken over', scopes: ['customer:read'] },
    replaceApiKey: { name: 'Taken over', scopes: ['customer:read'] },
    suspendTenant: { reason: 'taken over' },
    suspendUser: { reason: 'taken over' },
    impersonateUser: { tenantId, reason: 'taken over' },
  };
  return bodies[operation] ?? {};
}
