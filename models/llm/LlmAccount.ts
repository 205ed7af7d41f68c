import type { KeyStanding, LlmVendor } from '../../domain/llm/types';
import { BaseModel } from '../base';

/**
 * An account at a vendor of models, with one balance. Its sealed management key is no property: the
 * tenants' role may not read it.
 */
export class LlmAccount extends BaseModel {
  static override readonly tableName = 'llm_accounts';
  static override readonly idColumn = 'id';
  /** All but the sealed one. */
  static readonly shownColumns = [
    'id',
    'tenant_id',
    'name',
    'vendor',
    'base_url',
    'has_management_key',
    'standing',
    'standing_reason',
    'standing_by',
    'standing_at',
    'max_concurrency',
    'balance_floor_micros',
    'balance_micros',
    'balance_at',
    'version',
    'created_by',
    'created_at',
    'updated_at',
  ];

  declare id: string;
  /** Null for the platform's own. */
  declare tenantId: string | null;
  declare name: string;
  declare vendor: LlmVendor;
  declare baseUrl: string;
  declare hasManagementKey: boolean;
  declare standing: KeyStanding;
  declare standingReason: string | null;
  declare standingBy: string | null;
  declare standingAt: Date;
  declare maxConcurrency: number | null;
  declare balanceFloorMicros: number;
  declare balanceMicros: number | null;
  declare balanceAt: Date | null;
  /** Rises with every change of what a person may write. */
  declare version: number;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare updatedAt: Date;
  /** Of lists: its keys that are not revoked. */
  declare keyCount: number;
}
