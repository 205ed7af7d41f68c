import { failureKinds, type FailureKind, type LlmFailure } from '../domain/llm/failures';

/** A failure that no vendor spoke of. */
export function ownFailure(kind: FailureKind, message: string): LlmFailure {
  return {
    kind,
    scope: failureKinds[kind],
    status: null,
    message,
    vendorCode: null,
    retryAfterMs: null,
    resetsAt: null,
    isFreeClass: false,
    fallbackModels: [],
    hadBegun: false,
  };
}
