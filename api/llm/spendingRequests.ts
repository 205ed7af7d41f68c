import { z } from 'zod';
import { budgetPeriods, budgetScopes } from '../../domain/llm/budgets';
import { callOutcomes, usageParts } from '../../domain/llm/callRecords';
import {
  LlmBudgetNow,
  LlmCall,
  LlmModel,
  PlatformLlmModel,
} from '../../domain/llm/spending/schema';
import { llmBudgetSorts } from '../../models/llm/budgets';
import { llmCallSorts } from '../../models/llm/callRecords';
import { llmModelSorts } from '../../models/llm/catalogueEntries';
import { instant, listQuery } from '../lists';

const name = z.string().trim().min(1).max(200);

export const ListLlmBudgets = listQuery({
  item: LlmBudgetNow,
  sorts: llmBudgetSorts,
  defaultSort: '-createdAt',
  filters: {
    scope: z.enum(budgetScopes).optional(),
    subject: name.optional(),
    period: z.enum(budgetPeriods).optional(),
  },
});

const callFilters = {
  outcome: z.enum(callOutcomes).optional(),
  feature: name.optional(),
  model: name.optional(),
  userId: z.uuid().optional(),
  keyId: z.uuid().optional(),
  workflowId: z.string().min(1).max(1_000).optional(),
  from: instant.optional(),
  to: instant.optional(),
};

const calls = { item: LlmCall, sorts: llmCallSorts, defaultSort: '-createdAt' };

export const ListLlmCalls = listQuery({ ...calls, filters: callFilters });

export const ListPlatformLlmCalls = listQuery({
  ...calls,
  filters: { ...callFilters, tenantId: z.uuid().optional() },
});

const models = { sorts: llmModelSorts, defaultSort: 'id' };
const modelFilters = { search: name.optional(), output: name.optional() };

export const ListLlmModels = listQuery({ ...models, item: LlmModel, filters: modelFilters });

export const ListPlatformLlmModels = listQuery({
  ...models,
  item: PlatformLlmModel,
  filters: modelFilters,
});

const day = z.iso
  .date()
  .refine((text) => text >= '2020-01-01' && text < '2200-01-01', 'Must be within 2020 to 2199.');

const usage = {
  from: day.optional().meta({ description: 'The first day, in UTC; the first of this month' }),
  to: day.optional().meta({ description: 'The last day; today' }),
  per: z.enum(['day', 'month']).default('day'),
  feature: name.optional(),
  model: name.optional(),
  userId: z.uuid().optional(),
  keyId: z.uuid().optional(),
};

/** `by=user,model`: each part once. */
function partsOf<const T extends string>(parts: readonly T[]) {
  const known = new Map<string, T>(parts.map((part) => [part, part]));
  return z
    .string()
    .max(100)
    .default('')
    .meta({
      type: 'array',
      items: { type: 'string', enum: [...parts] },
      maxLength: undefined,
      default: [],
      description: 'By what it is summed up, too',
    })
    .transform((text, context) => {
      const names = text.split(',').map((one) => one.trim());
      return [...new Set(names)].flatMap((one) => {
        const part = known.get(one);
        if (part === undefined && one !== '') {
          context.addIssue({
            code: 'custom',
            message: `Nothing is summed up by ${JSON.stringify(one)}.`,
            params: { code: 'unknownPart' },
          });
        }
        return part === undefined ? [] : [part];
      });
    });
}

export const AskLlmUsage = z.strictObject({ ...usage, by: partsOf(usageParts) });

export const AskPlatformLlmUsage = z.strictObject({
  ...usage,
  by: partsOf(['tenant', ...usageParts]),
  tenantId: z.uuid().optional(),
});
