import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { KeyExplained } from '../../domain/llm/keyrings/explain';
import type { KeyringMemory } from '../../domain/llm/keyrings/jobs';
import type { Forecasts } from '../../domain/llm/keyrings/details';

/** What looks after one account and its keys: one for each account, for as long as there is one. */
export function keyringWorkflowId(accountId: string): string {
  return `keyring/${accountId}`;
}

export interface KeyringInput {
  accountId: string;
  /** Null for the platform's. */
  tenantId: string | null;
  /** What the history before this one remembered. */
  carried?: KeyringMemory & { forecasts: Forecasts };
}

/** Somebody's word on a key. */
export interface KeyWord {
  keyId: string;
  reason?: string;
  /** The user who said it; an operator in the Temporal UI says none. */
  actorId?: string;
  /** The API has written it already: it is only to be taken up. */
  isWritten?: boolean;
}

/** Somebody's word on an account with all its keys. */
export type AccountWord = Omit<KeyWord, 'keyId'>;

/** The key that comes in the place of one, stored by the API before. */
export interface ReplaceWord extends KeyWord {
  newKeyId: string;
}

/** An account and its keys, as they stand. */
export interface KeyringStatus {
  account: string;
  tenantId: string | null;
  balanceMicros: number | null;
  keys: KeyExplained[];
  /** When it looks next, and at what. */
  nextLookAt: string | null;
  waitsFor: string;
}

/** A process wrote how a key or the account stands: look. */
export const keyStateChangedSignal = defineSignal('keyStateChanged');
/** Somebody asked for a key of a pool that has none to give. */
export const wantedSignal = defineSignal('wanted');

export const pauseKeyUpdate = defineUpdate<KeyExplained, [KeyWord]>('pause');
export const resumeKeyUpdate = defineUpdate<KeyExplained, [KeyWord]>('resume');
export const drainKeyUpdate = defineUpdate<KeyExplained, [KeyWord]>('drain');
export const revokeKeyUpdate = defineUpdate<KeyExplained, [KeyWord]>('revoke');
export const probeKeyUpdate = defineUpdate<KeyExplained, [KeyWord]>('probe');
/** The new key serves, the old one ends what it began and is revoked then. */
export const rotateKeyUpdate = defineUpdate<KeyExplained, [ReplaceWord]>('rotate');
/** The new key serves, the old one is revoked at once. */
export const replaceKeyUpdate = defineUpdate<KeyExplained, [ReplaceWord]>('replace');

/** Of the whole account. */
export const pauseAccountUpdate = defineUpdate<KeyringStatus | null, [AccountWord]>('pauseAccount');
export const resumeAccountUpdate = defineUpdate<KeyringStatus | null, [AccountWord]>(
  'resumeAccount',
);
export const drainAccountUpdate = defineUpdate<KeyringStatus | null, [AccountWord]>('drainAccount');
export const probeAccountUpdate = defineUpdate<KeyringStatus | null, [AccountWord]>('probeAccount');

export const keyringStatusQuery = defineQuery<KeyringStatus | null>('status');
export const explainKeyQuery = defineQuery<string, [string]>('explain');
