import type { CallKind, CallOutcome } from '../../domain/llm/callRecords';
import { BaseModel } from '../base';

/** One call of a model, whatever became of it. */
export class LlmCall extends BaseModel {
  static override readonly tableName = 'llm_calls';
  static override readonly idColumn = 'id';

  declare id: string;
  declare tenantId: string;
  declare userId: string | null;
  declare feature: string;
  declare workflowId: string | null;
  declare kind: CallKind;
  declare modelAsked: string;
  declare model: string | null;
  declare accountId: string | null;
  declare keyId: string | null;
  declare priceSnapshotId: string | null;
  declare outcome: CallOutcome;
  declare failureKind: string | null;
  declare attempts: number;
  declare estimateMicros: number;
  declare costMicros: number | null;
  declare costSource: string | null;
  declare promptTokens: number | null;
  declare completionTokens: number | null;
  declare cachedTokens: number | null;
  declare reasoningTokens: number | null;
  declare firstTokenMs: number | null;
  declare totalMs: number | null;
  declare isStreamed: boolean;
  declare createdAt: Date;
  declare settledAt: Date | null;
}
