import { nextRunAt, percentDone, waitingOf } from '../../../domain/campaigns/reports/progress';

const now = new Date('2026-03-20T12:00:00Z');
const later = new Date('2026-03-20T13:00:00Z');
const latest = new Date('2026-03-20T14:00:00Z');
const earlier = new Date('2026-03-20T11:00:00Z');

const run = {
  state: 'sending',
  gate: 'open',
  gateReason: null,
  inDoubt: 0,
  nextDoubtAt: null,
} as const;
const due = { startsAt: earlier, open: 5, waitsUntil: null, waitReason: null };
const ahead = { ...due, startsAt: later };
const limited = { ...due, waitsUntil: later, waitReason: 'rateLimit: 60 messages a minute' };

test.each([
  ['calls leave', run, [due, ahead], null],
  ['the next wave', run, [{ ...due, open: 0 }, ahead], { for: 'wave', until: later, detail: null }],
  [
    'quiet hours',
    run,
    [{ ...ahead, waitsFor: 'quietHours' }],
    { for: 'quietHours', until: later, detail: null },
  ],
  [
    'a cap',
    run,
    [{ ...limited, waitReason: 'frequencyCap' }],
    { for: 'frequencyCap', until: later, detail: null },
  ],
  [
    'the rate',
    run,
    [limited],
    { for: 'rateLimit', until: later, detail: 'rateLimit: 60 messages a minute' },
  ],
  [
    'the provider',
    run,
    [{ ...limited, waitReason: 'providerUnreachable' }],
    { for: 'provider', until: later, detail: 'providerUnreachable' },
  ],
  ['a wait that is over', run, [{ ...limited, waitsUntil: earlier }], null],
  [
    'what comes first',
    run,
    [{ ...limited, waitsUntil: latest }, ahead],
    { for: 'wave', until: later, detail: null },
  ],
  [
    'a person',
    { ...run, gate: 'paused', gateReason: 'Typo' },
    [due],
    { for: 'resume', until: null, detail: 'Typo' },
  ],
  [
    'its last calls',
    { ...run, gate: 'closed' },
    [],
    { for: 'lastCalls', until: null, detail: null },
  ],
  [
    'events',
    { ...run, inDoubt: 1, nextDoubtAt: latest },
    [{ ...due, open: 0 }],
    { for: 'events', until: latest, detail: 'callsInDoubt' },
  ],
  ['nothing when it has ended', { ...run, state: 'completed', gate: 'closed' }, [], null],
] as const)('waits for %s', (_, facts, waves, expected) => {
  expect(waitingOf(facts, waves, now)).toEqual(expected);
});

test('the next wave is the first that opens later and has something left', () => {
  const gone = { ...ahead, open: 0 };
  const last = { ...ahead, startsAt: latest };
  expect(nextRunAt(run, [due, gone, last, { ...ahead, startsAt: latest }], now)).toEqual(latest);
  expect(nextRunAt(run, [due], now)).toBeNull();
  expect(nextRunAt({ ...run, gate: 'paused' }, [last], now)).toBeNull();
});

test.each([
  [{ planned: 0, open: 0, inDoubt: 0 }, 0],
  [{ planned: 3, open: 2, inDoubt: 0 }, 33.3],
  [{ planned: 100_000, open: 0, inDoubt: 1 }, 99.9],
  [{ planned: 3, open: 0, inDoubt: 0 }, 100],
])('%j is done to %d percent', (counts, percent) => {
  expect(percentDone(counts)).toBe(percent);
});
