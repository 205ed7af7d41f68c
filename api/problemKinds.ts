import type { ErrorKind } from '../domain/errors';

/** Every code that a route declares as its own, and its kind, which decides the status. */
export const problemKinds = {
  accountChanged: 'conflict',
  accountInactive: 'conflict',
  accountInUse: 'conflict',
  accountIsDefault: 'conflict',
  bodyTooLarge: 'tooLarge',
  campaignHasRun: 'conflict',
  campaignIsBeingCancelled: 'conflict',
  campaignIsRunning: 'conflict',
  campaignIsScheduled: 'conflict',
  campaignNotScheduled: 'conflict',
  credentialsUnreadable: 'conflict',
  doubtMoved: 'conflict',
  emailTaken: 'conflict',
  externalIdTaken: 'conflict',
  idempotencyKeyReused: 'conflict',
  identityMissing: 'conflict',
  invalidSignature: 'unauthenticated',
  malformedForm: 'malformed',
  malformedJson: 'malformed',
  noProviderAccount: 'conflict',
  notAnArray: 'malformed',
  providerFailed: 'providerFailed',
  providerOutcomeUnknown: 'providerFailed',
  runNotFound: 'notFound',
  senderMissing: 'conflict',
  senderNotOfAccount: 'conflict',
  staleSignature: 'unauthenticated',
  tooManyEvents: 'malformed',
  webhookNotConfigured: 'unavailable',
  webhookNotVerified: 'forbidden',
  workflowsUnavailable: 'unavailable',
  wrongCredentials: 'unauthenticated',
} as const satisfies Record<string, ErrorKind>;

export type ProblemCode = keyof typeof problemKinds;
