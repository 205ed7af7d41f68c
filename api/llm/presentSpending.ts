import type { z } from 'zod';
import { resetsAt } from '../../domain/llm/budgets';
import type {
  LlmBudget as BudgetShape,
  LlmBudgetNow,
  LlmCall as CallShape,
  LlmCallDetail,
  LlmModel as ModelShape,
  LlmSettings,
  PlatformLlmModel,
} from '../../domain/llm/spending/schema';
import type { CallDetail } from '../../models/llm/callRecords';
import type { LlmBudget } from '../../models/llm/LlmBudget';
import type { LlmCall } from '../../models/llm/LlmCall';
import type { LlmModel } from '../../models/llm/LlmModel';
import type { LlmSettingsValues } from '../../models/llm/settings';

export function presentBudget(budget: LlmBudget): z.output<typeof BudgetShape> {
  return {
    id: budget.id,
    scope: budget.scope,
    subject: budget.subject === '' ? null : budget.subject,
    period: budget.period,
    limitMicros: budget.limitMicros,
    createdAt: budget.createdAt.toISOString(),
    updatedAt: budget.updatedAt.toISOString(),
  };
}

/** With how it stands, as lists have it. */
export function presentBudgetNow(budget: LlmBudget): z.output<typeof LlmBudgetNow> {
  return {
    ...presentBudget(budget),
    spentMicros: budget.spentMicros,
    reservedMicros: budget.reservedMicros,
    resetsAt: resetsAt(budget).toISOString(),
  };
}

export function presentLlmSettings(settings: LlmSettingsValues): z.output<typeof LlmSettings> {
  const { keySource, defaultModel, keepsPrompts, promptDays, hedgeAfterMs } = settings;
  return { keySource, defaultModel, keepsPrompts, promptDays, hedgeAfterMs };
}

export function presentLlmModel(model: LlmModel): z.output<typeof ModelShape> {
  return {
    id: model.id,
    name: model.name,
    contextTokens: model.contextTokens,
    maxOutputTokens: model.maxOutputTokens,
    inputModalities: model.inputModalities,
    outputModalities: model.outputModalities,
    parameters: model.parameters,
    prices: {
      promptMicrosPerMillion: model.promptMicrosPerMillion,
      completionMicrosPerMillion: model.completionMicrosPerMillion,
      cachedMicrosPerMillion: model.cachedMicrosPerMillion,
      requestMicros: model.requestMicros,
      imageMicros: model.imageMicros,
    },
    fallbacks: model.fallbacks,
    isDefault: model.isDefault,
  };
}

export function presentPlatformLlmModel(model: LlmModel): z.output<typeof PlatformLlmModel> {
  return {
    ...presentLlmModel(model),
    isEnabled: model.isEnabled,
    goneAt: model.goneAt?.toISOString() ?? null,
    seenAt: model.seenAt.toISOString(),
  };
}

export function presentLlmCall(call: LlmCall): z.output<typeof CallShape> {
  return {
    id: call.id,
    tenantId: call.tenantId,
    userId: call.userId,
    feature: call.feature,
    workflowId: call.workflowId,
    kind: call.kind,
    modelAsked: call.modelAsked,
    model: call.model,
    accountId: call.accountId,
    keyId: call.keyId,
    outcome: call.outcome,
    failureKind: call.failureKind,
    attempts: call.attempts,
    estimateMicros: call.estimateMicros,
    costMicros: call.costMicros,
    costSource: call.costSource,
    tokens: {
      prompt: call.promptTokens,
      completion: call.completionTokens,
      cached: call.cachedTokens,
      reasoning: call.reasoningTokens,
    },
    firstTokenMs: call.firstTokenMs,
    totalMs: call.totalMs,
    isStreamed: call.isStreamed,
    createdAt: call.createdAt.toISOString(),
    settledAt: call.settledAt?.toISOString() ?? null,
  };
}

export function presentCallDetail({
  call,
  tries,
  prices,
}: CallDetail): z.output<typeof LlmCallDetail> {
  return {
    ...presentLlmCall(call),
    prices,
    tries: tries.map((one) => ({ ...one, startedAt: one.startedAt.toISOString() })),
  };
}
