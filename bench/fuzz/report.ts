import { readFileSync } from 'node:fs';
import { z } from 'zod';

const Rates = z.record(z.string(), z.object({ accepted: z.int() }).loose());

const Report = z.object({
  seed: z.int(),
  complete: z.boolean(),
  running_time: z.number(),
  operations: z.object({ total: z.int(), tested: z.int(), errored: z.int() }),
  test_cases: z.object({ generated: z.int(), unique_failures: z.int() }),
  failures: z.array(z.object({ type: z.string(), count: z.int() })),
  errors: z.array(z.unknown()),
  valid_rates: z.record(z.string(), Rates).default({}),
});

export interface FuzzFigures {
  seed: number;
  operations: number;
  tested: number;
  cases: number;
  failures: number;
  serverErrors: number;
  errors: number;
  seconds: number;
  /** Operations of which no case in the right form was ever done: what lies behind was not seen. */
  neverDone: string[];
}

/** What the fuzzer's own report says, in our words. */
export function readReport(file: string): FuzzFigures {
  const report = Report.parse(JSON.parse(readFileSync(file, 'utf8')));
  const { operations, test_cases: cases } = report;
  const serverErrors = report.failures.find(({ type }) => type === 'ServerError')?.count ?? 0;
  return {
    seed: report.seed,
    operations: operations.total,
    tested: operations.tested,
    cases: cases.generated,
    failures: cases.unique_failures,
    serverErrors,
    errors: report.errors.length + operations.errored,
    seconds: Math.round(report.running_time),
    neverDone: Object.entries(report.valid_rates)
      .filter(([, phases]) => Object.values(phases).every(({ accepted }) => accepted === 0))
      .map(([operation]) => operation)
      .sort(),
  };
}
