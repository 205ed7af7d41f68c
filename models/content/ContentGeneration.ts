import type { Channel } from '../../domain/campaigns/types';
import type { ContentFailure, ContentVariant } from '../../domain/content/types';
import { BaseModel } from '../base';

/** Variants of a text that were asked for, and what came of it. */
export class ContentGeneration extends BaseModel {
  static override readonly tableName = 'content_generations';
  static override readonly idColumn = ['tenant_id', 'id'];
  static override readonly jsonAttributes = ['variants'];

  declare id: string;
  declare tenantId: string;
  declare campaignId: string | null;
  declare state: 'planned' | 'done' | 'failed';
  declare reason: ContentFailure | null;
  declare waitsUntil: Date | null;
  declare goal: string;
  declare facts: string[];
  declare tone: string | null;
  declare language: string;
  declare channel: Channel;
  declare count: number;
  declare askedModel: string | null;
  declare variants: ContentVariant[];
  declare model: string | null;
  declare callIds: string[];
  declare costMicros: number;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare endedAt: Date | null;
}
