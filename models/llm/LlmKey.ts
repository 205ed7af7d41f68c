import type { KeyStanding } from '../../domain/llm/types';
import { BaseModel } from '../base';

/** A key of an account. Its sealed secret is no property: the tenants' role may not read it. */
export class LlmKey extends BaseModel {
  static override readonly tableName = 'llm_keys';
  static override readonly idColumn = 'id';
  /** All but the sealed one. */
  static readonly shownColumns = [
    'id',
    'tenant_id',
    'account_id',
    'label',
    'fingerprint',
    'last4',
    'weight',
    'max_concurrency',
    'allowed_models',
    'workspace',
    'expires_at',
    'standing',
    'standing_reason',
    'standing_by',
    'standing_at',
    'replaces',
    'limit_micros',
    'limit_remaining_micros',
    'limit_reset',
    'limits_at',
    'version',
    'created_by',
    'created_at',
    'updated_at',
  ];

  declare id: string;
  /** Null for the platform's own. */
  declare tenantId: string | null;
  declare accountId: string;
  declare label: string;
  declare fingerprint: string;
  declare last4: string;
  declare weight: number;
  declare maxConcurrency: number | null;
  declare allowedModels: string[] | null;
  declare workspace: string | null;
  declare expiresAt: Date | null;
  declare standing: KeyStanding;
  declare standingReason: string | null;
  declare standingBy: string | null;
  declare standingAt: Date;
  declare replaces: string | null;
  declare limitMicros: number | null;
  declare limitRemainingMicros: number | null;
  declare limitReset: 'daily' | 'weekly' | 'monthly' | null;
  declare limitsAt: Date | null;
  /** Rises with every change of what a person may write. */
  declare version: number;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare updatedAt: Date;
}
