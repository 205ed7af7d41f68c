import { z } from 'zod';
import { budgetPeriods, budgetScopes } from '../budgets';
import { callKinds, callOutcomes, keySources } from '../callRecords';

const micros = z.int().min(0).max(1_000_000_000_000);
const modelName = z
  .string()
  .trim()
  .regex(/^[\w./:@-]{1,200}$/, 'Is no name of a model.');
const count = z.int();

const limitMicros = micros.meta({
  description: 'Millionths of a US dollar; 0 lets nothing through',
});

export const WriteLlmBudget = z
  .strictObject({
    scope: z.enum(budgetScopes).meta({
      description:
        'What it is for: all calls of the tenant, or those of one user, feature, model (as it was asked for) or key. The platform’s are for keys alone',
    }),
    subject: z.string().trim().min(1).max(200).nullable().default(null).meta({
      description: 'Which user, feature, model or key; null for the whole tenant',
    }),
    period: z.enum(budgetPeriods).meta({ description: 'Days and months of UTC' }),
    limitMicros,
  })
  .meta({ id: 'WriteLlmBudget' });

export const ReplaceLlmBudget = z.strictObject({ limitMicros }).meta({ id: 'ReplaceLlmBudget' });

export const LlmBudget = z
  .object({
    id: z.uuid(),
    scope: z.enum(budgetScopes),
    subject: z.string().nullable(),
    period: z.enum(budgetPeriods),
    limitMicros: z.int(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'LlmBudget' });

/** A budget with how it stands, in lists. */
export const LlmBudgetNow = LlmBudget.extend({
  spentMicros: z.int().meta({ description: 'In the period that is now' }),
  reservedMicros: z.int().meta({ description: 'What calls under way may cost at most' }),
  resetsAt: z.iso.datetime(),
}).meta({ id: 'LlmBudgetNow' });

export const LlmSettings = z
  .object({
    keySource: z.enum(keySources),
    defaultModel: z.string().nullable(),
    keepsPrompts: z.boolean(),
    promptDays: z.int(),
    hedgeAfterMs: z.int().nullable(),
  })
  .meta({ id: 'LlmSettings' });

export const ReplaceLlmSettings = z
  .strictObject({
    keySource: z.enum(keySources).default('ownFirst').meta({
      description: 'Whose keys serve calls: your own, the platform’s, or your own while they can',
    }),
    defaultModel: modelName.nullable().default(null).meta({
      description: 'Asked where a call names none; null for the platform’s',
    }),
    keepsPrompts: z.boolean().default(false).meta({
      description:
        'Whether it is kept, sealed, what is asked and answered. Switching it off forgets what was kept',
    }),
    promptDays: z.int().min(1).max(365).default(30).meta({ description: 'For how long' }),
    hedgeAfterMs: z.int().min(100).max(60_000).nullable().default(null).meta({
      description:
        'After so long without a first token a call is made a second time elsewhere, and the faster one taken: both cost. Null for never',
    }),
  })
  .meta({ id: 'ReplaceLlmSettings' });

const prices = z.object({
  promptMicrosPerMillion: z.int(),
  completionMicrosPerMillion: z.int(),
  cachedMicrosPerMillion: z.int(),
  requestMicros: z.int(),
  imageMicros: z.int(),
});

export const LlmModel = z
  .object({
    id: z.string(),
    name: z.string(),
    contextTokens: z.int(),
    maxOutputTokens: z.int().nullable(),
    inputModalities: z.array(z.string()),
    outputModalities: z.array(z.string()),
    parameters: z.array(z.string()),
    prices: prices.meta({
      description: 'Millionths of a US dollar for a million tokens, for one request, for one image',
    }),
    fallbacks: z.array(z.string()).meta({ description: 'Asked in its place, in this order' }),
    isDefault: z.boolean(),
  })
  .meta({ id: 'LlmModel' });

/** A model as the platform's admins see it. */
export const PlatformLlmModel = LlmModel.extend({
  isEnabled: z.boolean(),
  goneAt: z.iso
    .datetime()
    .nullable()
    .meta({ description: 'Since when its vendor lists it no longer' }),
  seenAt: z.iso.datetime(),
}).meta({ id: 'PlatformLlmModel' });

export const ChangeLlmModel = z
  .strictObject({
    isEnabled: z.boolean(),
    isDefault: z.literal(true).meta({ description: 'In place of the one before' }),
    fallbacks: z.array(modelName).max(10),
  })
  .partial()
  .meta({ id: 'ChangeLlmModel' });

export const LlmUsageRow = z
  .object({
    startsOn: z.iso.date().meta({ description: 'The day, or the first day of the month, in UTC' }),
    tenantId: z.uuid().optional(),
    userId: z.uuid().nullable().optional(),
    feature: z.string().optional(),
    model: z.string().optional().meta({ description: 'The one that answered' }),
    keyId: z.uuid().nullable().optional(),
    calls: count,
    failed: count,
    promptTokens: count,
    completionTokens: count,
    costMicros: count,
  })
  .meta({ id: 'LlmUsageRow' });

export const LlmUsage = z
  .object({
    from: z.iso.date(),
    to: z.iso.date(),
    rows: z.array(LlmUsageRow),
    total: LlmUsageRow.pick({
      calls: true,
      failed: true,
      promptTokens: true,
      completionTokens: true,
      costMicros: true,
    }),
    asOf: z.iso.datetime(),
  })
  .meta({ id: 'LlmUsage' });

export const LlmCall = z
  .object({
    id: z.uuid(),
    tenantId: z.uuid(),
    userId: z.uuid().nullable(),
    feature: z.string(),
    workflowId: z.string().nullable(),
    kind: z.enum(callKinds),
    modelAsked: z.string(),
    model: z.string().nullable().meta({ description: 'The one that answered' }),
    accountId: z.uuid().nullable(),
    keyId: z.uuid().nullable(),
    outcome: z.enum(callOutcomes).meta({
      description: '`lost`: its process died, so that it cost what was reserved for it',
    }),
    failureKind: z.string().nullable(),
    attempts: z.int(),
    estimateMicros: z.int(),
    costMicros: z.int().nullable().meta({ description: 'Null while it is open' }),
    costSource: z
      .string()
      .nullable()
      .meta({ description: 'Who says so: `vendor`, `prices`, `estimate` or `none`' }),
    tokens: z.object({
      prompt: z.int().nullable(),
      completion: z.int().nullable(),
      cached: z.int().nullable(),
      reasoning: z.int().nullable(),
    }),
    firstTokenMs: z.int().nullable(),
    totalMs: z.int().nullable(),
    isStreamed: z.boolean(),
    createdAt: z.iso.datetime(),
    settledAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'LlmCall' });

export const LlmCallDetail = LlmCall.extend({
  prices: prices.nullable().meta({ description: 'Those that held when it was made' }),
  tries: z.array(
    z.object({
      n: z.int(),
      accountId: z.uuid(),
      keyId: z.uuid(),
      model: z.string(),
      failureKind: z.string().nullable(),
      status: z.int().nullable(),
      generationId: z.string().nullable(),
      firstTokenMs: z.int().nullable(),
      totalMs: z.int(),
      startedAt: z.iso.datetime(),
    }),
  ),
}).meta({ id: 'LlmCallDetail' });

/** The same as its tenant sees it. */
export const OwnLlmCallDetail = LlmCallDetail.extend({
  hasPrompt: z.boolean().meta({ description: 'Whether what was asked and answered is kept' }),
}).meta({ id: 'OwnLlmCallDetail' });

export const LlmPrompt = z
  .object({
    content: z.string().meta({ description: 'What was asked and answered, as JSON' }),
    expiresAt: z.iso.datetime(),
  })
  .meta({ id: 'LlmPrompt' });
