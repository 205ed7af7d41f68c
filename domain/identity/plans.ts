/** What a tenant may subscribe to, from the smallest to the largest. */
export const planNames = ['free', 'starter', 'professional', 'enterprise'] as const;

export type PlanName = (typeof planNames)[number];

/** What a plan has or has not. */
export const features = {
  sms: 'Campaigns and single messages by text message.',
  whatsapp: 'Campaigns and single messages by WhatsApp.',
  auditExport: 'The audit log as a file.',
} as const;

export type Feature = keyof typeof features;

/** What a plan has so much of. Those of a month begin anew with it, by UTC. */
export const quotas = {
  customers: { per: 'tenant', means: 'Customers that are kept.' },
  messages: { per: 'month', means: 'Messages that are sent, on all channels.' },
  chatbots: { per: 'tenant', means: 'Chatbots.' },
  apiKeys: { per: 'tenant', means: 'API keys that are not revoked.' },
  apiCalls: { per: 'month', means: 'Requests to the API, by people and by API keys.' },
  aiMicros: {
    per: 'month',
    means:
      'What calls of language models by the platform’s keys cost, in millionths of a US dollar.',
  },
} as const;

export type Quota = keyof typeof quotas;

/** Those that are counted one by one; what is spent on language models is counted by their ledger. */
export type CountedQuota = Exclude<Quota, 'aiMicros'>;

/** How much of each there is; null for as much as one likes. */
export type Limits = Readonly<Record<Quota, number | null>>;

export interface Plan {
  readonly features: readonly Feature[];
  readonly limits: Limits;
}

/** All plans. A subscription may override limits of its own, never features. */
export const plans: Readonly<Record<PlanName, Plan>> = {
  free: {
    features: [],
    limits: {
      customers: 5_000,
      messages: 10_000,
      chatbots: 1,
      apiKeys: 2,
      apiCalls: 100_000,
      aiMicros: 1_000_000,
    },
  },
  starter: {
    features: ['sms'],
    limits: {
      customers: 25_000,
      messages: 100_000,
      chatbots: 3,
      apiKeys: 5,
      apiCalls: 1_000_000,
      aiMicros: 10_000_000,
    },
  },
  professional: {
    features: ['sms', 'whatsapp'],
    limits: {
      customers: 250_000,
      messages: 2_000_000,
      chatbots: 20,
      apiKeys: 25,
      apiCalls: 10_000_000,
      aiMicros: 100_000_000,
    },
  },
  enterprise: {
    features: ['sms', 'whatsapp', 'auditExport'],
    limits: {
      customers: null,
      messages: null,
      chatbots: null,
      apiKeys: null,
      apiCalls: null,
      aiMicros: null,
    },
  },
};

/** How a subscription stands. While it is past due or cancelled its plan goes on until it expires. */
export const subscriptionStatuses = ['active', 'pastDue', 'cancelled', 'expired'] as const;

export type SubscriptionStatus = (typeof subscriptionStatuses)[number];

/** What holds for a tenant now. */
export interface PlanInForce {
  readonly plan: PlanName;
  readonly limits: Limits;
}

/** The smallest plan with the feature. */
export function planWith(feature: Feature): PlanName {
  return planNames.find((name) => plans[name].features.includes(feature)) ?? 'enterprise';
}

/** The smallest plan that has room for so much. */
export function planWithRoom(quota: Quota, amount: number): PlanName {
  const found = planNames.find((name) => {
    const most = plans[name].limits[quota];
    return most === null || most >= amount;
  });
  return found ?? 'enterprise';
}

/** The plan that holds when nothing was subscribed, or what was has expired. */
export const fallenTo: PlanInForce = { plan: 'free', limits: plans.free.limits };

/** Whether the text names a quota. */
export function isQuota(text: string): text is Quota {
  return Object.hasOwn(quotas, text);
}

/** Their names, in the order of the table. */
export const quotaNames: readonly Quota[] = Object.keys(quotas).filter(isQuota);
