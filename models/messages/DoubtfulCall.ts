import type { DoubtPolicy } from '../../domain/campaigns/types';
import type { LookUpAnswer, Proof } from '../../domain/messages/doubts/types';
import { BaseModel } from '../base';

/** A dispatch with its newest call, as lists of doubts show it. */
export class DoubtfulCall extends BaseModel {
  static override readonly tableName = 'dispatches';

  declare runId: string;
  declare n: number;
  declare state: string;
  declare attempt: number;
  /** Those that follow the dispatch. */
  declare messages: number;
  declare reason: string | null;
  declare calledAt: Date | null;
  declare doubtUntil: Date | null;
  declare doubtPolicy: DoubtPolicy;
  declare status: number | null;
  declare provenBy: Proof | null;
  declare lookUps: number;
  declare lookUpAt: Date | null;
  declare lookedUpAt: Date | null;
  declare lookUpAnswer: LookUpAnswer | null;
  declare lookUpReason: string | null;
  declare acceptedAttempts: number;
}
