import type { BudgetPeriod, BudgetScope } from '../../domain/llm/budgets';
import { BaseModel } from '../base';

/** What may be spent on calls of models in a day or a month. */
export class LlmBudget extends BaseModel {
  static override readonly tableName = 'llm_budgets';
  static override readonly idColumn = 'id';

  declare id: string;
  /** Null for the platform's own. */
  declare tenantId: string | null;
  declare scope: BudgetScope;
  /** The user, feature, model or key it is for; empty for the whole tenant. */
  declare subject: string;
  declare period: BudgetPeriod;
  declare limitMicros: number;
  declare version: number;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare updatedAt: Date;
  /** Of lists: how it stands in the period that is now. */
  declare spentMicros: number;
  declare reservedMicros: number;
  /** The first day of that period: `2026-11-01`. */
  declare startsOn: string;
}
