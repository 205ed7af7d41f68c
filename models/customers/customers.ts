import type { QueryBuilder } from 'objection';
import { conflict, invalidField } from '../../domain/errors';
import {
  fitsAttributes,
  maxAttributesBytes,
  mergeAttributes,
  type Attributes,
} from '../../domain/customers/attributes';
import type { Knex } from '../../lib/db';
import { brokenUniqueConstraint } from '../../lib/databaseErrors';
import type { SortKey } from '../pages';
import { freeQuota, useQuota } from '../identity/quotas';
import { Customer } from './Customer';

export type CustomerValues = Partial<
  Pick<
    Customer,
    | 'externalId'
    | 'email'
    | 'phone'
    | 'firstName'
    | 'lastName'
    | 'language'
    | 'timeZone'
    | 'tags'
    | 'attributes'
    | 'emailConsent'
    | 'emailConsentSource'
    | 'emailConsentAt'
    | 'smsConsent'
    | 'smsConsentSource'
    | 'smsConsentAt'
    | 'whatsappConsent'
    | 'whatsappConsentSource'
    | 'whatsappConsentAt'
  >
>;

export type CustomerChange = Omit<CustomerValues, 'attributes'> & {
  attributes?: Attributes | null | undefined;
};

interface Key {
  tenantId: string;
  id: string;
}

export interface CustomerFilters {
  email?: string | undefined;
  phone?: string | undefined;
  externalId?: string | undefined;
  tag?: string | undefined;
  timeZone?: string | undefined;
  language?: string | undefined;
  /** The beginning of an address, a first or a last name. */
  search?: string | undefined;
  createdAfter?: Date | undefined;
  createdBefore?: Date | undefined;
}

export const customerSorts = {
  createdAt: { by: 'created_at', type: 'timestamptz' },
  updatedAt: { by: 'updated_at', type: 'timestamptz' },
  email: { by: `coalesce(lower(email), '')`, type: 'text' },
  lastName: { by: `coalesce(lower(last_name), '')`, type: 'text' },
} as const satisfies Record<string, SortKey>;

/**
 * Writes a new customer. A row with this id is taken for the same one written before, so that a
 * repeated request creates one customer.
 */
export function createCustomer(
  trx: Knex.Transaction,
  key: Key,
  values: CustomerValues,
): Promise<Customer> {
  return refusingTakenNames(async () => {
    const created = await Customer.query(trx)
      .insert({ ...values, ...key })
      .onConflict(['tenant_id', 'id'])
      .ignore()
      .returning('*');
    // An ignored insert answers the values it was given, without what the table adds.
    if (created?.createdAt === undefined) {
      return Customer.query(trx).findById([key.tenantId, key.id]).throwIfNotFound();
    }
    await useQuota(trx, { tenantId: key.tenantId, quota: 'customers', amount: 1 });
    return created;
  });
}

export async function findCustomer(trx: Knex.Transaction, key: Key): Promise<Customer | null> {
  return (await Customer.query(trx).findById([key.tenantId, key.id])) ?? null;
}

/** The customer, kept from others until the transaction ends. */
export async function lockCustomer(trx: Knex.Transaction, key: Key): Promise<Customer | null> {
  return (await Customer.query(trx).findById([key.tenantId, key.id]).forUpdate()) ?? null;
}

/** Writes the values over a locked customer. Attributes are merged by name; null removes them all. */
export function changeCustomer(
  trx: Knex.Transaction,
  customer: Customer,
  { attributes, ...values }: CustomerChange,
): Promise<Customer> {
  if (attributes === undefined) {
    return replaceCustomer(trx, customer, values);
  }
  const merged = attributes === null ? {} : mergeAttributes(customer.attributes, attributes);
  if (!fitsAttributes(merged)) {
    throw invalidField(
      'attributes',
      'attributesTooLarge',
      `Together with what is stored they have more than ${maxAttributesBytes} bytes.`,
    );
  }
  return replaceCustomer(trx, customer, { ...values, attributes: merged });
}

/** Writes the values over a locked customer as they are. */
export function replaceCustomer(
  trx: Knex.Transaction,
  { tenantId, id }: Customer,
  values: CustomerValues,
): Promise<Customer> {
  return refusingTakenNames(async () =>
    Customer.query(trx)
      .patch({ ...values, updatedAt: trx.fn.now() })
      .where({ tenant_id: tenantId, id })
      .returning('*')
      .first()
      .throwIfNotFound(),
  );
}

/** Whether there was one to remove. The ledger of what was sent stays. */
export async function removeCustomer(trx: Knex.Transaction, key: Key): Promise<boolean> {
  const count = await Customer.query(trx).deleteById([key.tenantId, key.id]);
  await freeQuota(trx, { tenantId: key.tenantId, quota: 'customers', amount: count });
  return count > 0;
}

/** The tenant's customers that fit all the filters. */
export function customersWhere(
  trx: Knex.Transaction,
  tenantId: string,
  filters: CustomerFilters,
): QueryBuilder<Customer, Customer[]> {
  const query = Customer.query(trx).where('tenant_id', tenantId);
  if (filters.email !== undefined) {
    query.whereRaw('id in (select id from customers_of_emails(array[lower(?)]))', [filters.email]);
  }
  if (filters.phone !== undefined) {
    query.where('phone', filters.phone);
  }
  if (filters.externalId !== undefined) {
    query.where('external_id', filters.externalId);
  }
  if (filters.tag !== undefined) {
    query.whereRaw('tags @> array[?]', [filters.tag]);
  }
  if (filters.timeZone !== undefined) {
    query.where('time_zone', filters.timeZone);
  }
  if (filters.language !== undefined) {
    query.where('language', filters.language);
  }
  if (filters.search !== undefined) {
    const prefix = `${filters.search.replace(/[\\%_]/g, '\\$&')}%`;
    query.whereRaw(
      '(lower(email) like lower(?) or lower(first_name) like lower(?) or lower(last_name) like lower(?))',
      [prefix, prefix, prefix],
    );
  }
  if (filters.createdAfter !== undefined) {
    query.where('created_at', '>', filters.createdAfter);
  }
  if (filters.createdBefore !== undefined) {
    query.where('created_at', '<', filters.createdBefore);
  }
  return query;
}

async function refusingTakenNames<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const broken = brokenUniqueConstraint(error);
    if (broken === 'customers_email') {
      throw conflict('emailTaken', 'Another customer has this email.');
    }
    if (broken === 'customers_external_id') {
      throw conflict('externalIdTaken', 'Another customer has this externalId.');
    }
    throw error;
  }
}
