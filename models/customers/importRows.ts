import type { ImportedCustomer, Rejection } from '../../domain/customers/types';
import type { Knex } from '../../lib/db';
import { brokenUniqueConstraint, isDeadlock } from '../../lib/databaseErrors';
import { withTenant } from '../base';
import { useQuota } from '../identity/quotas';
import { recordBatch } from './imports';
import {
  emailKey,
  phoneKey,
  planUpserts,
  taken,
  type Existing,
  type ImportRow,
} from './planUpserts';

interface Batch {
  tenantId: string;
  importId: string;
  rows: readonly ImportRow[];
  /** Rows that were no customers, to be recorded with the others. */
  rejections: readonly Rejection[];
}

const attempts = 3;

/**
 * Imports rows in one transaction of three statements. A row finds its customer by external id,
 * else by email, else by phone; what it says is written over what is there, what it leaves empty stays. Rows of
 * the same customer follow each other. When others write the same customers at the same moment the
 * batch is tried again, and a row that still cannot be is rejected alone.
 */
export async function importRows(db: Knex, batch: Batch, attempt = 1): Promise<void> {
  try {
    await withTenant(db, batch.tenantId, (trx) => importBatch(trx, batch));
  } catch (error) {
    const isTaken = brokenUniqueConstraint(error) !== null;
    if (!isTaken && !isDeadlock(error)) {
      throw error;
    }
    if (attempt < attempts) {
      return importRows(db, batch, attempt + 1);
    }
    if (!isTaken) {
      throw error;
    }
    await importHalves(db, batch);
  }
}

async function importHalves(db: Knex, batch: Batch): Promise<void> {
  const { rows, ...rest } = batch;
  const [only] = rows;
  if (only === undefined || rows.length === 1) {
    const rejections = only === undefined ? [] : [taken(only)];
    await importRows(db, { ...rest, rows: [], rejections: [...rest.rejections, ...rejections] });
    return;
  }
  const middle = Math.ceil(rows.length / 2);
  await importRows(db, { ...rest, rows: rows.slice(0, middle) }, attempts);
  await importRows(db, { ...rest, rows: rows.slice(middle), rejections: [] }, attempts);
}

async function importBatch(trx: Knex.Transaction, batch: Batch): Promise<void> {
  const plan = planUpserts(batch.rows, await findExisting(trx, batch));
  await upsert(trx, batch.tenantId, plan.upserts);
  await useQuota(trx, { tenantId: batch.tenantId, quota: 'customers', amount: plan.created });
  await recordBatch(
    trx,
    { tenantId: batch.tenantId, id: batch.importId },
    {
      created: plan.created,
      updated: plan.updated,
      rejections: [...batch.rejections, ...plan.rejections],
    },
  );
}

async function findExisting(trx: Knex.Transaction, { tenantId, rows }: Batch): Promise<Existing[]> {
  const phones = rows.flatMap(({ customer }) => phoneKey(customer) ?? []);
  if (phones.length > 0) {
    // No index keeps phones apart: two imports at once would both add who is known by a phone alone.
    await trx.raw(`select pg_advisory_xact_lock(hashtextextended(?, 0))`, [
      `customers by phone ${tenantId}`,
    ]);
  }
  const emails = rows.flatMap(({ customer }) => emailKey(customer) ?? []);
  const externalIds = rows.flatMap(({ customer }) => customer.externalId ?? []);
  // One probe of a unique index a key. `= any(…)` reads better, but for a fresh table Postgres takes
  // the whole of it for a match and scans it once a batch.
  const found = await trx.raw<{ rows: Existing[] }>(
    `select c.id, e.email_key, c.external_id, c.phone
       from customers_of_emails(cast(:emails as text[])) e
       join customers c on c.tenant_id = :tenantId and c.id = e.id
     union
     select c.* from unnest(cast(:externalIds as text[])) as wanted (external_id)
      cross join lateral (
        select id, lower(email), external_id, phone from customers
         where tenant_id = :tenantId and external_id = wanted.external_id
         limit 1) c
     union
     select c.* from unnest(cast(:phones as text[])) as wanted (phone)
      cross join lateral (
        select id, lower(email), external_id, phone from customers
         where tenant_id = :tenantId and phone = wanted.phone
         limit 2) c`,
    { tenantId, emails, externalIds, phones },
  );
  return found.rows;
}

async function upsert(
  trx: Knex.Transaction,
  tenantId: string,
  upserts: readonly { id: string; values: ImportedCustomer }[],
): Promise<void> {
  if (upserts.length === 0) {
    return;
  }
  const rows = upserts.map(({ id, values }) => ({
    id,
    external_id: values.externalId,
    email: values.email,
    phone: values.phone,
    first_name: values.firstName,
    last_name: values.lastName,
    language: values.language,
    time_zone: values.timeZone,
    tags: values.tags ?? [],
    attributes: values.attributes ?? {},
    email_consent: values.emailConsent ?? 'unknown',
    sms_consent: values.smsConsent ?? 'unknown',
    whatsapp_consent: values.whatsappConsent ?? 'unknown',
  }));
  // In one order everywhere, so that imports of the same customers wait instead of deadlocking.
  rows.sort((a, b) => compare(orderOf(a), orderOf(b)));
  await trx.raw(
    `insert into customers as c
       (id, tenant_id, external_id, email, phone, first_name, last_name, language, time_zone, tags,
        attributes, ${consents.map(consentColumns).join(', ')})
     select id, :tenantId, external_id, email, phone, first_name, last_name, language, time_zone,
            tags, attributes, ${consents.map(newConsent).join(', ')}
       from jsonb_to_recordset(cast(:rows as jsonb)) as r
         (id uuid, external_id text, email text, phone text, first_name text, last_name text,
          language text, time_zone text, tags text[], attributes jsonb,
          ${consents.map((consent) => `${consent} text`).join(', ')})
     on conflict (tenant_id, id) do update set
       external_id = coalesce(excluded.external_id, c.external_id),
       email = coalesce(excluded.email, c.email),
       phone = coalesce(excluded.phone, c.phone),
       first_name = coalesce(excluded.first_name, c.first_name),
       last_name = coalesce(excluded.last_name, c.last_name),
       language = coalesce(excluded.language, c.language),
       time_zone = coalesce(excluded.time_zone, c.time_zone),
       tags = case when excluded.tags <@ c.tags then c.tags
                   else array(select t.tag from unnest(c.tags || excluded.tags)
                                with ordinality as t (tag, n)
                              group by t.tag order by min(t.n)) end,
       attributes = c.attributes || excluded.attributes,
       ${consents.map(changedConsent).join(',\n       ')},
       updated_at = now()`,
    { tenantId, rows: JSON.stringify(rows) },
  );
}

const consents = ['email_consent', 'sms_consent', 'whatsapp_consent'];

function consentColumns(consent: string): string {
  return `${consent}, ${consent}_source, ${consent}_at`;
}

function newConsent(consent: string): string {
  return `${consent},
            case when ${consent} <> 'unknown' then 'import' end,
            case when ${consent} <> 'unknown' then now() end`;
}

/** What is withdrawn stays so, and what stays keeps where and when it came from. */
function changedConsent(consent: string): string {
  const stays = `excluded.${consent} in ('unknown', c.${consent}) or c.${consent} = 'withdrawn'`;
  return ['', '_source', '_at']
    .map((part) => {
      const column = `${consent}${part}`;
      return `${column} = case when ${stays} then c.${column} else excluded.${column} end`;
    })
    .join(',\n       ');
}

function orderOf(row: { email: string | null; external_id: string | null; id: string }): string {
  return row.email?.toLowerCase() ?? row.external_id ?? row.id;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
