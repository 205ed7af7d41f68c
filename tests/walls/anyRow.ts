import { createHash } from 'node:crypto';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { testSealing } from '../support/accounts';

interface Column {
  name: string;
  type: string;
  isNeeded: boolean;
}

// What a check asks for that cannot be told from a column alone.
const given: Record<string, (tenantId: string) => Record<string, unknown>> = {
  campaign_contents: () => ({ from_email: 'a@example.com', subject: 'a', html: 'a' }),
  campaign_runs: () => ({
    campaign_id: newId(),
    n: 1,
    content_version: 1,
    audience: '{}',
    campaign_name: 'a',
    schedule: '{}',
  }),
  transactional_contents: () => ({ address: 'a@example.com' }),
  tenant_data_keys: (tenantId) => ({ sealed_key: sealed('tenant_data_keys', tenantId) }),
  llm_pools: (tenantId) => ({ id: tenantId }),
  llm_accounts: () => ({ base_url: 'https://example.com', name: newId() }),
  llm_keys: (tenantId) => ({
    secret: sealed('llm_keys', tenantId),
    fingerprint: createHash('sha256').update(newId()).digest('hex'),
    last4: 'aaaa',
  }),
  llm_health: () => ({ scope: 'model', model: 'a' }),
  llm_calls: () => ({ feature: 'a' }),
  llm_prompts: (tenantId) => ({ content: sealed('llm_prompts', tenantId) }),
};

function sealed(table: string, tenantId: string): string {
  return testSealing.seal('a', { table, rowId: 'a', tenantId });
}

/**
 * Makes a row of a table for a tenant, whatever the table is: what must not be null is filled in with
 * something its checks allow. It refers to nothing that is there.
 */
export async function anyRow(
  admin: Knex,
  table: string,
  tenantId: string,
): Promise<Record<string, unknown>> {
  const found = await admin.raw(
    `select column_name as name, udt_name as type,
            is_nullable = 'NO' and column_default is null as "isNeeded"
       from information_schema.columns
      where table_schema = 'public' and table_name = ? and is_generated = 'NEVER'
        and is_identity = 'NO'`,
    [table],
  );
  const columns: Column[] = found.rows;
  const words = await allowedWords(admin, table);
  const values = columns
    .filter(({ isNeeded }) => isNeeded)
    .map(({ name, type }) => [name, words.get(name) ?? valueOf(type)]);
  const own = table === 'tenants' ? { id: tenantId } : { tenant_id: tenantId };
  return { ...Object.fromEntries(values), ...given[table]?.(tenantId), ...own };
}

/** The first of the words that a check allows a column, by the column. */
async function allowedWords(admin: Knex, table: string): Promise<Map<string, string>> {
  const found = await admin.raw(
    `select pg_get_constraintdef(oid) as text from pg_constraint
      where conrelid = cast(? as regclass) and contype = 'c'`,
    [table],
  );
  const checks: { text: string }[] = found.rows;
  const pairs = checks.flatMap(({ text }) => {
    const [, column, word] =
      /^CHECK \(\(\(?"?(\w+)"? = (?:ANY \(ARRAY\[)?'([^']*)'::text/.exec(text) ?? [];
    return column === undefined || word === undefined ? [] : [[column, word] as const];
  });
  return new Map(pairs);
}

function valueOf(type: string): unknown {
  if (type.startsWith('_')) {
    return '{}';
  }
  switch (type) {
    case 'uuid':
      return newId();
    case 'text':
      return `a ${newId()}`;
    case 'bytea':
      return Buffer.from(newId());
    case 'jsonb':
      return '{}';
    case 'bool':
      return false;
    case 'timestamptz':
    case 'date':
      return '2026-01-01';
    case 'inet':
      return '192.0.2.1';
    default:
      return 1;
  }
}
