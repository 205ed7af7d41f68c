import type { SpentBudget } from '../../domain/llm/budgets';
import type { Knex } from '../../lib/db';
import { createPurposeDatabase, type PurposeDatabase } from '../base';
import { counting, openingAll, planLimits, raising, reserving } from './reservationStatements';

/**
 * Connections for calls. Locks are held until a commit is over: without a wait for the disk that is
 * soon. Statements are planned once, and find counters by their keys: their table is one page when a
 * connection plans, which looks cheap to walk through, and full of old versions of its few rows a
 * moment later.
 */
export function createCallDatabase(db: Knex): PurposeDatabase {
  return createPurposeDatabase(db, 'llmLedger', {
    // For calls that are opened, raised and settled at the same time.
    poolMax: 4,
    settings: {
      synchronous_commit: 'off',
      plan_cache_mode: 'force_generic_plan',
      enable_seqscan: 'off',
    },
  });
}

/** A call that is about to be made. */
export interface NewCall {
  readonly callId: string;
  readonly tenantId: string;
  readonly userId: string | null;
  readonly feature: string;
  readonly workflowId: string | null;
  readonly kind: 'chat' | 'embedding' | 'image';
  readonly model: string;
  readonly estimateMicros: number;
  readonly mayUsePlatform: boolean;
  readonly isStreamed: boolean;
  readonly expiresAt: Date;
}

export type Opened =
  | { readonly state: 'opened' }
  /** Not enough is left of a budget for this call alone. */
  | { readonly state: 'refused'; readonly budget: SpentBudget }
  /** Others of the group may have taken what was left, or the day has changed: to be asked again. */
  | { readonly state: 'again' }
  /** The database crashed and has lost the last calls: they are to be opened again before this one. */
  | { readonly state: 'forgotten' };

/**
 * Reserves what calls may cost at most, under every counter of each, and writes their rows; answers
 * what became of each, in order. A call is reserved as a whole or not at all, and one that is there
 * already is left as it is: the same group may be opened again. All rows are locked in the order of
 * their ids, so that groups of many processes wait for one another and never in a circle.
 *
 * It does not wait for the disk, so a crash of the database may take the last ones back: all that came
 * after some moment. `witnesses` names the last call that this process opened and the last that it
 * settled; while they are not so, nothing is opened, but by `isForced`, which passes all limits: those
 * calls are being made.
 */
export async function openCalls(
  db: PurposeDatabase,
  calls: readonly NewCall[],
  options: {
    at?: Date | null;
    witnesses?: { opened: string | null; settled: string | null };
    isForced?: boolean;
  },
): Promise<Opened[]> {
  const { at = null, witnesses, isForced = false } = options;
  const values = {
    ...columnsOf(calls),
    at,
    plans: planLimits,
    opened: witnesses?.opened ?? null,
    settled: witnesses?.settled ?? null,
    isForced,
  };
  if (!isForced) {
    const [all] = await db.inOneTrip([{ raw: openingAll({ ...values, ...sumsOf(calls) }) }]);
    if (all?.[0]?.isOpened === true) {
      return calls.map(() => ({ state: 'opened' }));
    }
  }
  const answers = await db.inOneTrip([{ raw: counting(values) }, { raw: reserving(values) }]);
  const rows: (SpentBudget & { state: Opened['state'] })[] = answers.at(-1) ?? [];
  return rows.map(({ state, ...budget }) => (state === 'refused' ? { state, budget } : { state }));
}

/**
 * Raises what open calls have reserved to `estimateMicros` in all, under the counters they were opened
 * under; answers what became of each, in order. What is reserved already stays; doing it twice is doing
 * it once. Each call may be in it once.
 */
export async function reserveMore(
  db: PurposeDatabase,
  calls: readonly { readonly callId: string; readonly estimateMicros: number }[],
): Promise<Raised[]> {
  const [answers] = await db.inOneTrip([
    {
      raw: raising({
        ids: calls.map((call) => call.callId),
        totals: calls.map((call) => call.estimateMicros),
        plans: planLimits,
      }),
    },
  ]);
  const rows: (SpentBudget & { state: Raised['state']; moreMicros: number })[] = answers ?? [];
  return rows.map(({ state, moreMicros, ...budget }) =>
    state === 'refused' ? { state, budget, moreMicros } : { state },
  );
}

export type Raised =
  | { readonly state: 'opened' | 'again' }
  | { readonly state: 'refused'; readonly budget: SpentBudget; readonly moreMicros: number }
  /** There is no such call, or it is over. */
  | { readonly state: 'unknown' };

// What all calls of a group ask of each counter together.
function sumsOf(calls: readonly NewCall[]) {
  const sums = new Map<string, { call: NewCall; scope: string; subject: string; micros: number }>();
  for (const call of calls) {
    for (const [scope, subject] of subjectsOf(call)) {
      const name = `${call.tenantId} ${scope} ${subject}`;
      const micros = (sums.get(name)?.micros ?? 0) + call.estimateMicros;
      sums.set(name, { call, scope, subject, micros });
    }
  }
  const asked = [...sums.values()].flatMap((sum) =>
    (sum.scope === 'plan' ? ['month'] : ['day', 'month']).map((period) => ({ ...sum, period })),
  );
  return {
    sumTenantIds: asked.map(({ call }) => call.tenantId),
    sumScopes: asked.map(({ scope }) => scope),
    sumSubjects: asked.map(({ subject }) => subject),
    sumPeriods: asked.map(({ period }) => period),
    sums: asked.map(({ micros }) => micros),
  };
}

// As countersOf.
function subjectsOf({
  mayUsePlatform,
  userId,
  feature,
  model,
}: NewCall): (readonly [scope: string, subject: string])[] {
  return [
    ...(mayUsePlatform ? [['plan', ''] as const] : []),
    ['tenant', ''],
    ...(userId === null ? [] : [['user', userId] as const]),
    ['feature', feature],
    ['model', model],
  ];
}

function columnsOf(calls: readonly NewCall[]) {
  return {
    ids: calls.map((call) => call.callId),
    tenantIds: calls.map((call) => call.tenantId),
    userIds: calls.map((call) => call.userId),
    features: calls.map((call) => call.feature),
    workflowIds: calls.map((call) => call.workflowId),
    kinds: calls.map((call) => call.kind),
    models: calls.map((call) => call.model),
    estimates: calls.map((call) => call.estimateMicros),
    platforms: calls.map((call) => call.mayUsePlatform),
    streams: calls.map((call) => call.isStreamed),
    ends: calls.map((call) => call.expiresAt.toISOString()),
  };
}
