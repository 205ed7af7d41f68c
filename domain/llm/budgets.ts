/** What a budget is for. */
export const budgetScopes = ['tenant', 'user', 'feature', 'model', 'key'] as const;

export type BudgetScope = (typeof budgetScopes)[number];

/** Days and months are those of UTC. */
export const budgetPeriods = ['day', 'month'] as const;

export type BudgetPeriod = (typeof budgetPeriods)[number];

/** How long things are kept. */
export interface LlmRetention {
  /** Records of calls, and counters of periods that are over. Sums of days stay. */
  callDays: number;
  /** What happened to keys and accounts. */
  transitionDays: number;
}

/** What has no room for a call: a budget, or what the plan allows. */
export interface SpentBudget {
  readonly scope: BudgetScope | 'plan';
  readonly subject: string;
  readonly period: BudgetPeriod;
  /** The first day of its period: `2026-11-01`. */
  readonly startsOn: string;
  readonly limitMicros: number;
  readonly spentMicros: number;
  readonly reservedMicros: number;
}

/** When a period is over and its budget begins anew. */
export function resetsAt({ period, startsOn }: Pick<SpentBudget, 'period' | 'startsOn'>): Date {
  const [year = 0, month = 1, day = 1] = startsOn.split('-').map(Number);
  return new Date(period === 'day' ? Date.UTC(year, month - 1, day + 1) : Date.UTC(year, month, 1));
}

/** Why a call is refused, for people. */
export function spentBudgetText(budget: SpentBudget, estimateMicros: number): string {
  const { limitMicros, spentMicros, reservedMicros } = budget;
  return `${nameOf(budget)}, ${usd(limitMicros)} USD, ${stateOf()}; it begins anew on ${dayOf(resetsAt(budget))} (UTC).`;

  function stateOf(): string {
    const leftMicros = limitMicros - spentMicros - reservedMicros;
    if (leftMicros > 0) {
      return `has ${usd(leftMicros)} USD left, and this may cost ${usd(estimateMicros)} USD`;
    }
    return spentMicros >= limitMicros ? 'is spent' : 'is spent, with what is under way';
  }
}

function nameOf({ scope, subject, period }: SpentBudget): string {
  const when = period === 'day' ? 'today' : 'this month';
  switch (scope) {
    case 'plan':
      return `What the plan allows for AI ${when}`;
    case 'tenant':
      return `The AI budget of ${when}`;
    case 'user':
      return `Your AI budget of ${when}`;
    case 'feature':
    case 'model':
    case 'key':
      return `The AI budget of ${when} for the ${scope} ${subject}`;
  }
}

// Cents; in small amounts all that there is.
function usd(micros: number): string {
  const isSmall = micros < 1_000_000;
  return (micros / 1_000_000).toLocaleString('en', {
    minimumFractionDigits: 2,
    maximumFractionDigits: isSmall ? 6 : 2,
  });
}

function dayOf(at: Date): string {
  return at.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', timeZone: 'UTC' });
}
