import { AppError, invalidField } from '../domain/errors';
import type { FailureKind, LlmFailure } from '../domain/llm/failures';
import type { NoKey } from './types';

/** Where the fault of a request lies, in the words of whoever asked. */
export type FaultField = 'messages' | 'inputs' | 'prompt';

/**
 * What the caller is told of the failure that ended a request. Of the vendor's words it gets those
 * about its own request alone; nothing names a key.
 */
export function failureError(failure: LlmFailure, field: FaultField): AppError {
  const words = ofTheRequest[failure.kind];
  if (words !== undefined) {
    return invalidField(
      field,
      failure.kind,
      failure.kind === 'invalidRequest' ? `${words}: ${failure.message}` : words,
    );
  }
  return new AppError('providerFailed', 'llmFailed', sentences[failure.kind] ?? nothingServes, {
    details: { code: failure.kind },
  });
}

const ofTheRequest: Partial<Record<FailureKind, string>> = {
  invalidRequest: 'The model does not take this request',
  contextLength: 'This is longer than the model reads.',
  refused: 'The model will not answer this, by its policy.',
  moderation: 'This was held back by a moderation.',
};

const nothingServes = 'No model answered.';

const sentences: Partial<Record<FailureKind, string>> = {
  schemaMismatch: 'The model did not answer in the form that was asked for.',
  exceedsBalance: 'No account has enough left for a request of this size: lower maxTokens.',
  tokenLimit: 'No account has enough left for a request of this size: lower maxTokens.',
  modelUnavailable: 'Nobody serves this model now, and no other one took its place.',
  notPermitted: 'This model is not open to the accounts there are.',
  brokenAnswer: 'The answer broke off.',
};

/** No key may serve: what is to be changed, or when to come back. */
export function noKeyError(
  { retryAt, skipped }: Pick<NoKey, 'retryAt' | 'skipped'>,
  { now, failure }: { now: number; failure: LlmFailure | null },
): AppError {
  if (skipped.length > 0 && skipped.every(({ why }) => why === 'modelNotAllowed')) {
    return invalidField('model', 'modelNotAllowed', 'No key may be used for this model.');
  }
  return new AppError(
    'unavailable',
    'llmUnavailable',
    skipped.length === 0 && retryAt === null && failure === null
      ? 'There is no key for language models.'
      : 'No key for language models can serve at this moment.',
    {
      ...(retryAt === null
        ? {}
        : { retryAfterSeconds: Math.max(1, Math.ceil((retryAt - now) / 1_000)) }),
      ...(failure === null ? {} : { details: { code: failure.kind } }),
    },
  );
}

/** The time the caller gave is over. */
export function deadlineError(): AppError {
  return new AppError('tooSlow', 'llmTooSlow', 'No answer was complete within the time given.');
}

/** Whether the tenant's plan pays for no more; its own keys may still serve. */
export function isPlanSpent(error: unknown): boolean {
  return (
    error instanceof AppError && error.kind === 'planLimit' && error.details['scope'] === 'plan'
  );
}
