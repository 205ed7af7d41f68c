import { AppError } from '../domain/errors';
import { planWithRoom } from '../domain/identity/plans';
import { resetsAt, spentBudgetText, type SpentBudget } from '../domain/llm/budgets';

/** A budget has no room for this much. */
export function budgetSpent(budget: SpentBudget, estimateMicros: number): AppError {
  return new AppError('planLimit', 'llmBudgetSpent', spentBudgetText(budget, estimateMicros), {
    details: {
      scope: budget.scope,
      subject: budget.subject,
      period: budget.period,
      limitMicros: budget.limitMicros,
      spentMicros: budget.spentMicros,
      reservedMicros: budget.reservedMicros,
      resetsAt: resetsAt(budget).toISOString(),
      ...(budget.scope === 'plan' ? { requiredPlan: planFor(budget, estimateMicros) } : {}),
    },
  });
}

function planFor({ spentMicros, reservedMicros }: SpentBudget, estimateMicros: number): string {
  return planWithRoom('aiMicros', spentMicros + reservedMicros + estimateMicros);
}

/** The database does not answer. */
export function unreachable(cause: unknown): AppError {
  return new AppError(
    'unavailable',
    'llmUnavailable',
    'What calls cost cannot be recorded just now, so that none is made: try again.',
    { retryAfterSeconds: 1, cause },
  );
}
