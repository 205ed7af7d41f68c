import { z } from 'zod';
import { instantBetween } from '../../customers/schema';
import { features, planNames, quotaNames, subscriptionStatuses } from '../plans';

const planName = z.enum(planNames);
const status = z.enum(subscriptionStatuses);
const limit = z
  .int()
  .min(0)
  .max(1_000_000_000_000)
  .nullable()
  .meta({ description: 'Null for as much as one likes' });

/** A limit for each quota. */
const Limits = z.object({
  customers: limit,
  messages: limit,
  chatbots: limit,
  apiKeys: limit,
  apiCalls: limit,
  aiMicros: limit,
});

export const PlanShape = z
  .object({
    name: planName,
    features: z.array(z.enum(Object.keys(features))),
    limits: Limits,
  })
  .meta({ id: 'Plan' });

export const SubscriptionShape = z
  .object({
    plan: planName,
    status,
    expiresAt: z.iso.datetime().nullable(),
    planInForce: planName.meta({ description: 'What holds now: free once it has expired' }),
    limits: Limits.meta({ description: 'What holds now, with limits of its own' }),
  })
  .meta({ id: 'Subscription' });

export const SubscriptionChangeShape = z
  .object({
    id: z.uuid(),
    plan: planName,
    status,
    expiresAt: z.iso.datetime().nullable(),
    limits: Limits.partial(),
    reason: z.string().nullable(),
    actor: z.object({ kind: z.enum(['user', 'system']), id: z.uuid().nullable() }),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'SubscriptionChange' });

export const QuotaUsageShape = z
  .object({
    quota: z.enum(quotaNames),
    used: z.int(),
    reserved: z.int().meta({ description: 'Kept for work that is under way' }),
    limit: z.int().nullable(),
    resetsAt: z.iso.datetime().nullable().meta({ description: 'Null for what is not by month' }),
  })
  .meta({ id: 'QuotaUsage' });

const expiry = instantBetween(
  () => [new Date('2020-01-01T00:00:00Z'), new Date('2200-01-01T00:00:00Z')],
  'Must be within the years 2020 to 2199, in UTC.',
);

/** What a platform admin writes; what is left out of `limits` is as the plan has it. */
export const SubscriptionWish = z.strictObject({
  plan: planName,
  status: status.exclude(['expired']).default('active'),
  expiresAt: expiry.nullish(),
  limits: z
    .strictObject({
      customers: limit.optional(),
      messages: limit.optional(),
      chatbots: limit.optional(),
      apiKeys: limit.optional(),
      apiCalls: limit.optional(),
      aiMicros: limit.optional(),
    })
    .default({}),
  reason: z.string().trim().min(1).max(500).nullish(),
});
