import type { QueryBuilder } from 'objection';
import { conflict, invalidField, notFound } from '../../domain/errors';
import type { BudgetPeriod, BudgetScope } from '../../domain/llm/budgets';
import { brokenUniqueConstraint } from '../../lib/databaseErrors';
import type { Knex } from '../../lib/db';
import { isId } from '../../lib/ids';
import { Membership } from '../identity/Membership';
import type { SortKey } from '../pages';
import type { OwnedId } from './accounts';
import { LlmBudget } from './LlmBudget';
import { LlmKey } from './LlmKey';
import { dayAt, monthAt } from './periods';

export const llmBudgetSorts = {
  createdAt: { by: 'llm_budgets.created_at', type: 'timestamptz' },
} as const satisfies Record<string, SortKey>;

export interface NewBudget {
  scope: BudgetScope;
  /** Empty for the whole tenant. */
  subject: string;
  period: BudgetPeriod;
  limitMicros: number;
  createdBy: string | null;
}

/**
 * Writes a new budget of a tenant, or of the platform: those are for its keys alone, because what the
 * platform pays for a tenant is a matter of its plan. It holds for the period that is now, with all
 * that was spent in it before. A row with this id is taken for the same one written before.
 *
 * @throws invalid for a subject that is none of the owner's; conflict llmBudgetTaken
 */
export async function createLlmBudget(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
  values: NewBudget,
): Promise<LlmBudget> {
  await requireSubject(trx, ownerId, values);
  try {
    await LlmBudget.query(trx)
      .insert({ id, tenantId: ownerId, ...values })
      .onConflict('id')
      .ignore();
  } catch (error) {
    if (brokenUniqueConstraint(error) === 'llm_budgets_subject') {
      throw conflict('llmBudgetTaken', 'There is a budget for this already: change that one.');
    }
    throw error;
  }
  return requireLlmBudget(trx, { ownerId, id });
}

export interface BudgetFilters {
  scope?: BudgetScope | undefined;
  subject?: string | undefined;
  period?: BudgetPeriod | undefined;
}

/** Budgets of the owner, with how they stand. */
export function llmBudgetsOf(
  trx: Knex.Transaction,
  ownerId: string | null,
  filters: BudgetFilters = {},
): QueryBuilder<LlmBudget, LlmBudget[]> {
  const given = Object.entries(filters).filter(([, value]) => value !== undefined);
  return LlmBudget.query(trx)
    .select(
      'llm_budgets.*',
      trx.raw(`cast(coalesce(s.spent_micros, 0) as bigint) as spent_micros`),
      trx.raw(`cast(coalesce(s.reserved_micros, 0) as bigint) as reserved_micros`),
      trx.raw(`to_char(${startsOn}, 'YYYY-MM-DD') as starts_on`),
    )
    .joinRaw(
      `left join llm_spend s on s.tenant_id is not distinct from llm_budgets.tenant_id
         and s.scope = llm_budgets.scope and s.subject = llm_budgets.subject
         and s.period = llm_budgets.period and s.starts_on = ${startsOn}`,
    )
    .where({ 'llm_budgets.tenant_id': ownerId })
    .where(Object.fromEntries(given.map(([name, value]) => [`llm_budgets.${name}`, value])));
}

const startsOn = `case llm_budgets.period when 'day' then ${dayAt('statement_timestamp()')}
  else ${monthAt('statement_timestamp()')} end`;

/** The owner's budget, or notFound. */
export async function requireLlmBudget(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
): Promise<LlmBudget> {
  return orNotFound(await LlmBudget.query(trx).findOne({ id, tenant_id: ownerId }));
}

/** The same, kept from changes until the transaction ends. */
export async function lockLlmBudget(
  trx: Knex.Transaction,
  { ownerId, id }: OwnedId,
): Promise<LlmBudget> {
  return orNotFound(await LlmBudget.query(trx).findOne({ id, tenant_id: ownerId }).forUpdate());
}

/** Writes another limit. It holds from the next call on. */
export async function changeLlmBudget(
  trx: Knex.Transaction,
  stored: LlmBudget,
  limitMicros: number,
): Promise<LlmBudget> {
  await LlmBudget.query(trx)
    .findById(stored.id)
    .patch({ limitMicros, version: stored.version + 1, updatedAt: trx.fn.now() });
  return requireLlmBudget(trx, { ownerId: stored.tenantId, id: stored.id });
}

/** Removes a locked budget; what was spent stays counted. */
export async function removeLlmBudget(trx: Knex.Transaction, stored: LlmBudget): Promise<void> {
  await LlmBudget.query(trx).deleteById(stored.id);
}

async function requireSubject(
  trx: Knex.Transaction,
  ownerId: string | null,
  { scope, subject }: NewBudget,
): Promise<void> {
  if (ownerId === null && scope !== 'key') {
    throw invalidField('scope', 'notOfPlatform', 'The platform has budgets for its keys alone.');
  }
  if (scope === 'tenant' ? subject !== '' : subject === '') {
    const message =
      scope === 'tenant'
        ? 'A budget for the whole tenant has no subject.'
        : `Say which ${scope} it is for.`;
    throw invalidField('subject', 'wrongSubject', message);
  }
  if (!(await isSubject(trx, ownerId, scope, subject))) {
    throw invalidField('subject', 'notFound', `There is no such ${scope}.`);
  }
}

async function isSubject(
  trx: Knex.Transaction,
  ownerId: string | null,
  scope: BudgetScope,
  subject: string,
): Promise<boolean> {
  switch (scope) {
    case 'tenant':
    case 'model':
      return true;
    case 'feature':
      return /^[a-z][a-zA-Z]{0,39}$/.test(subject);
    case 'user':
      return (
        isId(subject) &&
        (await Membership.query(trx).findOne({ tenant_id: ownerId, user_id: subject })) !==
          undefined
      );
    case 'key':
      return (
        isId(subject) &&
        (await LlmKey.query(trx).select('id').findOne({ id: subject, tenant_id: ownerId })) !==
          undefined
      );
  }
}

function orNotFound(budget: LlmBudget | undefined): LlmBudget {
  if (budget === undefined) {
    throw notFound('llmBudget');
  }
  return budget;
}
