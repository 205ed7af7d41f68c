import type { ConsentStatus, ImportedCustomer, Rejection } from '../../domain/customers/types';
import { newId } from '../../lib/ids';

/** A row of the file that reads as a customer. */
export interface ImportRow {
  row: number;
  customer: ImportedCustomer;
}

/** A stored customer that a row may mean. */
export interface Existing {
  id: string;
  email_key: string | null;
  external_id: string | null;
  phone: string | null;
}

/** A customer of the batch: what is stored, and what its rows say so far. */
interface Target {
  id: string;
  emailKey: string | null;
  phone: string | null;
  externalId: string | null;
  values: ImportedCustomer | null;
}

interface Plan {
  upserts: { id: string; values: ImportedCustomer }[];
  created: number;
  updated: number;
  rejections: Rejection[];
}

/**
 * Decides what each row does, in the order of the file. A row means the customer of its external id,
 * else of its email; one that gives neither means whoever alone has its phone.
 */
export function planUpserts(rows: readonly ImportRow[], existing: readonly Existing[]): Plan {
  const byEmail = new Map<string, Target>();
  const byExternalId = new Map<string, Target>();
  const byPhone = new Map<string, Set<Target>>();
  const remember = (target: Target) => {
    if (target.emailKey !== null) {
      byEmail.set(target.emailKey, target);
    }
    if (target.externalId !== null) {
      byExternalId.set(target.externalId, target);
    }
    if (target.phone !== null) {
      byPhone.set(target.phone, (byPhone.get(target.phone) ?? new Set()).add(target));
    }
  };
  for (const { id, email_key, external_id, phone } of existing) {
    remember({ id, emailKey: email_key, externalId: external_id, phone, values: null });
  }

  const plan: Plan = { upserts: [], created: 0, updated: 0, rejections: [] };
  const touched = new Set<Target>();
  for (const { row, customer } of rows) {
    const key = emailKey(customer);
    const named = customer.externalId === null ? undefined : byExternalId.get(customer.externalId);
    const addressed = key === null ? undefined : byEmail.get(key);
    const phone = phoneKey(customer);
    const called = phone === null ? [] : [...(byPhone.get(phone) ?? [])];
    if (called.length > 1) {
      plan.rejections.push(ambiguousPhone(row));
      continue;
    }
    const target = named ?? addressed ?? called[0];
    if (named !== undefined && addressed !== undefined && named !== addressed) {
      plan.rejections.push(taken({ row, customer }));
      continue;
    }
    if (named === undefined && addressed?.externalId != null && customer.externalId !== null) {
      plan.rejections.push(otherExternalId(row));
      continue;
    }
    if (target === undefined) {
      const created = {
        id: newId(),
        emailKey: key,
        externalId: customer.externalId,
        phone: customer.phone,
        values: customer,
      };
      remember(created);
      touched.add(created);
      plan.created += 1;
      continue;
    }
    if (key !== null && target.emailKey !== null && target.emailKey !== key) {
      byEmail.delete(target.emailKey);
    }
    if (customer.phone !== null && target.phone !== null && target.phone !== customer.phone) {
      byPhone.get(target.phone)?.delete(target);
    }
    target.emailKey = key ?? target.emailKey;
    target.phone = customer.phone ?? target.phone;
    target.externalId = customer.externalId ?? target.externalId;
    target.values = target.values === null ? customer : merged(target.values, customer);
    remember(target);
    touched.add(target);
    plan.updated += 1;
  }
  for (const { id, values } of touched) {
    if (values !== null) {
      plan.upserts.push({ id, values });
    }
  }
  return plan;
}

/** What two rows say of one customer: the later wins, and what it leaves empty stays. */
function merged(earlier: ImportedCustomer, later: ImportedCustomer): ImportedCustomer {
  return {
    externalId: later.externalId ?? earlier.externalId,
    email: later.email ?? earlier.email,
    phone: later.phone ?? earlier.phone,
    firstName: later.firstName ?? earlier.firstName,
    lastName: later.lastName ?? earlier.lastName,
    language: later.language ?? earlier.language,
    timeZone: later.timeZone ?? earlier.timeZone,
    tags:
      later.tags === null ? earlier.tags : [...new Set([...(earlier.tags ?? []), ...later.tags])],
    attributes:
      later.attributes === null
        ? earlier.attributes
        : { ...earlier.attributes, ...later.attributes },
    emailConsent: mergedConsent(earlier.emailConsent, later.emailConsent),
    smsConsent: mergedConsent(earlier.smsConsent, later.smsConsent),
    whatsappConsent: mergedConsent(earlier.whatsappConsent, later.whatsappConsent),
  };
}

/** A file may withdraw a consent, never give one back. */
function mergedConsent(
  earlier: ConsentStatus | null,
  later: ConsentStatus | null,
): ConsentStatus | null {
  return earlier === 'withdrawn' ? earlier : (later ?? earlier);
}

export function emailKey({ email }: ImportedCustomer): string | null {
  return email === null ? null : email.toLowerCase();
}

/** The phone by which a row means a customer: where it gives nothing better. */
export function phoneKey({ email, externalId, phone }: ImportedCustomer): string | null {
  return email === null && externalId === null ? phone : null;
}

export function taken({ row }: ImportRow): Rejection {
  return {
    row,
    field: 'email',
    code: 'emailTaken',
    reason: 'Another customer has this email: the one with this external id is somebody else.',
  };
}

function otherExternalId(row: number): Rejection {
  return {
    row,
    field: 'externalId',
    code: 'externalIdTaken',
    reason: 'The customer with this email has another external id.',
  };
}

function ambiguousPhone(row: number): Rejection {
  return {
    row,
    field: 'phone',
    code: 'phoneAmbiguous',
    reason: 'Several customers have this phone: give the email or the external id as well.',
  };
}
