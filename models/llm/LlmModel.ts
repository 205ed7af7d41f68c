import { BaseModel } from '../base';

/** A model of the catalogue, with the prices that hold now. */
export class LlmModel extends BaseModel {
  static override readonly tableName = 'llm_models';
  static override readonly idColumn = 'id';

  declare id: string;
  declare name: string;
  declare contextTokens: number;
  declare maxOutputTokens: number | null;
  declare inputModalities: string[];
  declare outputModalities: string[];
  declare parameters: string[];
  declare fallbacks: string[];
  declare isEnabled: boolean;
  declare isDefault: boolean;
  declare goneAt: Date | null;
  declare seenAt: Date;
  declare version: number;
  declare promptMicrosPerMillion: number;
  declare completionMicrosPerMillion: number;
  declare cachedMicrosPerMillion: number;
  declare requestMicros: number;
  declare imageMicros: number;
}
