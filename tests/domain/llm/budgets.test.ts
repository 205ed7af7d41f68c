import { resetsAt, spentBudgetText, type SpentBudget } from '../../../domain/llm/budgets';

const budget: SpentBudget = {
  scope: 'tenant',
  subject: '',
  period: 'month',
  startsOn: '2026-11-01',
  limitMicros: 10_000_000,
  spentMicros: 10_000_000,
  reservedMicros: 0,
};

test.each<[Partial<SpentBudget>, string]>([
  [{}, 'The AI budget of this month, 10.00 USD, is spent; it begins anew on 1 December (UTC).'],
  [
    { scope: 'plan', spentMicros: 9_000_000, reservedMicros: 1_000_000 },
    'What the plan allows for AI this month, 10.00 USD, is spent, with what is under way; it begins anew on 1 December (UTC).',
  ],
  [
    { scope: 'user', period: 'day', startsOn: '2026-11-21', limitMicros: 1_234_567_890_000 },
    'Your AI budget of today, 1,234,567.89 USD, has 1,234,557.89 USD left, and this may cost 0.0042 USD; it begins anew on 22 November (UTC).',
  ],
  [
    { scope: 'feature', subject: 'script', limitMicros: 0, spentMicros: 0 },
    'The AI budget of this month for the feature script, 0.00 USD, is spent; it begins anew on 1 December (UTC).',
  ],
])('says what is spent and when it begins anew: %p', (values, text) => {
  expect(spentBudgetText({ ...budget, ...values }, 4_200)).toBe(text);
});

test.each([
  ['day', '2026-12-31', '2027-01-01'],
  ['day', '2028-02-28', '2028-02-29'],
  ['month', '2026-12-01', '2027-01-01'],
] as const)('a %s that starts on %s is over on %s', (period, startsOn, end) => {
  expect(resetsAt({ period, startsOn }).toISOString()).toBe(`${end}T00:00:00.000Z`);
});
