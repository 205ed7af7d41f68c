import type { z } from 'zod';
import type {
  Customer as CustomerShape,
  Import as ImportShape,
  ImportRejection as RejectionShape,
  Suppression as SuppressionShape,
} from '../../domain/customers/schema';
import type { Customer } from '../../models/customers/Customer';
import { maxRejectionsKept } from '../../models/customers/imports';
import type { Import, ImportRejection } from '../../models/customers/Import';
import type { Suppression } from '../../models/customers/Suppression';

export function presentCustomer(customer: Customer): z.output<typeof CustomerShape> {
  return {
    id: customer.id,
    externalId: customer.externalId,
    email: customer.email,
    phone: customer.phone,
    firstName: customer.firstName,
    lastName: customer.lastName,
    language: customer.language,
    timeZone: customer.timeZone,
    tags: customer.tags,
    attributes: customer.attributes,
    consent: {
      email: {
        status: customer.emailConsent,
        source: customer.emailConsentSource,
        at: customer.emailConsentAt?.toISOString() ?? null,
      },
      sms: {
        status: customer.smsConsent,
        source: customer.smsConsentSource,
        at: customer.smsConsentAt?.toISOString() ?? null,
      },
      whatsapp: {
        status: customer.whatsappConsent,
        source: customer.whatsappConsentSource,
        at: customer.whatsappConsentAt?.toISOString() ?? null,
      },
    },
    createdAt: customer.createdAt.toISOString(),
    updatedAt: customer.updatedAt.toISOString(),
  };
}

export function presentSuppression(suppression: Suppression): z.output<typeof SuppressionShape> {
  return {
    id: suppression.id,
    channel: suppression.channel,
    address: suppression.address,
    reason: suppression.reason,
    createdAt: suppression.createdAt.toISOString(),
  };
}

export function presentImport(row: Import): z.output<typeof ImportShape> {
  return {
    id: row.id,
    state: row.state,
    fileName: row.fileName,
    rowsRead: row.rowsRead,
    created: row.rowsCreated,
    updated: row.rowsUpdated,
    rejected: row.rowsRejected,
    rejectionsKept: Math.min(row.rowsRejected, maxRejectionsKept),
    failure:
      row.failureCode === null ? null : { code: row.failureCode, message: row.failure ?? '' },
    createdAt: row.createdAt.toISOString(),
    finishedAt: row.finishedAt?.toISOString() ?? null,
  };
}

export function presentRejection(row: ImportRejection): z.output<typeof RejectionShape> {
  return { row: row.rowNumber, field: row.field, code: row.code, reason: row.reason };
}
