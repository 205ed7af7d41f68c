import type { SealedPlace } from '../../lib/sealing';

/** A column of sealed values. */
export interface SealedColumn {
  table: string;
  column: string;
  /** The columns of the primary key, in its order, with their types. */
  key: Readonly<Record<string, 'text' | 'uuid' | 'int'>>;
  /** The column that names the tenant; null for a table of the platform. */
  tenant: string | null;
}

/**
 * Every column of sealed values. A key is replaced by walking through all of them, so one that is
 * missing here would become unreadable when the old key is dropped.
 */
export const sealedColumns = {
  providerAccounts: {
    table: 'provider_accounts',
    column: 'credentials',
    key: { id: 'text' },
    tenant: 'tenant_id',
  },
  dataKeys: {
    table: 'tenant_data_keys',
    column: 'sealed_key',
    key: { id: 'uuid' },
    tenant: 'tenant_id',
  },
  signingKeys: {
    table: 'signing_keys',
    column: 'private_key',
    key: { kid: 'text' },
    tenant: null,
  },
  llmAccounts: {
    table: 'llm_accounts',
    column: 'management_key',
    key: { id: 'uuid' },
    tenant: 'tenant_id',
  },
  llmKeys: { table: 'llm_keys', column: 'secret', key: { id: 'uuid' }, tenant: 'tenant_id' },
  llmPrompts: {
    table: 'llm_prompts',
    column: 'content',
    key: { call_id: 'uuid' },
    tenant: 'tenant_id',
  },
  answers: {
    table: 'idempotency_keys',
    column: 'sealed_body',
    key: { tenant_id: 'uuid', key: 'text' },
    tenant: 'tenant_id',
  },
  mfaSecrets: { table: 'users', column: 'mfa_secret', key: { id: 'uuid' }, tenant: null },
} as const satisfies Record<string, SealedColumn>;

export type SealedColumnName = keyof typeof sealedColumns;

export const sealedColumnNames = Object.keys(sealedColumns).filter(
  (name): name is SealedColumnName => name in sealedColumns,
);

/** Where a row's value of this column is sealed: `key` has the values of its primary key. */
export function sealedPlace(
  name: SealedColumnName,
  row: { key: readonly string[]; tenantId: string | null },
): SealedPlace {
  const { table } = sealedColumns[name];
  return { table, rowId: row.key.join('/'), tenantId: row.tenantId };
}
