import type { AppError } from '../domain/errors';
import type { LlmFailure } from '../domain/llm/failures';
import type { FailedAttempt } from '../domain/llm/reactions';
import { deadlineError, failureError, noKeyError, type FaultField } from './callErrors';
import type { ModelLine } from './ModelLine';
import type { NoKey, Ring } from './types';

/** How a request stands that can do nothing more. */
export interface Standstill {
  readonly ring: Pick<Ring, 'snapshot'>;
  readonly poolIds: readonly string[];
  readonly models: ModelLine;
  readonly field: FaultField;
  /** Whether somebody saw a part of the answer who cannot take it back. */
  readonly isShown: boolean;
  readonly isLate: boolean;
}

/** What the caller is told when nothing more can be done about the last failure. */
export function errorAfter({ failure, model }: FailedAttempt, still: Standstill): AppError {
  if (failure.scope === 'request' || still.isShown) {
    return failureError(failure, still.field);
  }
  if (still.isLate) {
    return deadlineError();
  }
  const stands = standsStill(model, failure, still);
  return stands === null
    ? failureError(failure, still.field)
    : noKeyError({ retryAt: stands.until, skipped: [] }, { now: Date.now(), failure });
}

/** What the caller is told for whose first attempt there is no key. */
export function errorWithoutKey({ retryAt, skipped }: NoKey, { models }: Standstill): AppError {
  return noKeyError(
    { retryAt: retryAt ?? models.upAt(), skipped },
    { now: Date.now(), failure: null },
  );
}

// Whether others who ask for the model now are not served either, and until when; null while they are.
function standsStill(
  model: string,
  { retryAfterMs }: LlmFailure,
  { ring, poolIds, models }: Standstill,
): { until: number | null } | null {
  const down = models.downUntil(model);
  if (down !== null) {
    return { until: down };
  }
  const keys = ring.snapshot(poolIds);
  if (keys.every(({ state }) => state !== 'active' && state !== 'draining')) {
    const untils = keys.flatMap(({ until }) => until ?? []);
    return { until: untils.length === 0 ? null : Math.min(...untils) };
  }
  return retryAfterMs === null ? null : { until: Date.now() + retryAfterMs };
}
