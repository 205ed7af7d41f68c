import { DEMO_OPENROUTER_ACCOUNTS, DEMO_OPENROUTER_FAULTS } from '../../../sandbox';
import { OpenRouterFaults, type FaultSubject } from '../../../sandbox/openrouter/faults';
import { resetAfter } from '../../../sandbox/openrouter/accounts';

const t0 = Date.UTC(2026, 10, 21, 12);
const SECOND = 1_000;

function subjectOf(label: string): FaultSubject {
  const account = DEMO_OPENROUTER_ACCOUNTS.find(({ keys }) =>
    keys.some((key) => key.label === label),
  );
  const key = { label, last4: '0000' };
  return { path: 'chat', key, account: account?.id ?? null, model: null, isStream: false };
}

test('a demo key is limited for 40 seconds of every four minutes, and its limit ends with them', () => {
  const faults = new OpenRouterFaults([]);
  faults.replace(DEMO_OPENROUTER_FAULTS, t0);
  const met = [0, 59, 60, 99, 100, 299, 300, 339, 340].map((second) => {
    const { rule, endsAt } = faults.decide(subjectOf('north-2'), t0 + second * SECOND);
    return rule ? ((endsAt ?? 0) - t0) / SECOND : null;
  });
  expect(met).toEqual([null, null, 100, 100, null, null, 340, 340, null]);
  expect(faults.decide(subjectOf('north-1'), t0 + 70 * SECOND).rule).toBeNull();
});

test.each([
  ['2026-11-21T23:59:59Z', 'daily', '2026-11-22T00:00:00.000Z'],
  ['2026-11-21T12:00:00Z', 'weekly', '2026-11-23T00:00:00.000Z'],
  ['2026-11-22T23:59:00Z', 'weekly', '2026-11-23T00:00:00.000Z'],
  ['2026-11-23T00:00:00Z', 'weekly', '2026-11-30T00:00:00.000Z'],
  ['2026-12-31T12:00:00Z', 'monthly', '2027-01-01T00:00:00.000Z'],
] as const)('from %s a %s limit begins anew at %s', (now, reset, at) => {
  expect(new Date(resetAfter(reset, Date.parse(now))).toISOString()).toBe(at);
});
