import { z } from 'zod';
import {
  Customer,
  email,
  externalId,
  ImportRejection,
  language,
  phone,
  Suppression,
  tag,
  timeZone,
} from '../../domain/customers/schema';
import { normalizePhone } from '../../domain/customers/phone';
import { suppressionChannels, suppressionReasons } from '../../domain/customers/types';
import { customerSorts } from '../../models/customers/customers';
import { rejectionSorts } from '../../models/customers/imports';
import { suppressionSorts } from '../../models/customers/suppressions';
import { instant, listQuery } from '../lists';

export const ListCustomers = listQuery({
  item: Customer,
  sorts: customerSorts,
  defaultSort: '-createdAt',
  filters: {
    email: email.optional(),
    phone: phone.optional(),
    externalId: externalId.optional(),
    tag: tag.optional(),
    timeZone: timeZone.optional(),
    language: language.optional(),
    search: z.string().trim().min(1).max(100).optional(),
    createdAfter: instant.optional(),
    createdBefore: instant.optional(),
  },
});

export const ListSuppressions = listQuery({
  item: Suppression,
  sorts: suppressionSorts,
  defaultSort: '-createdAt',
  filters: {
    channel: z.enum(suppressionChannels).optional(),
    reason: z.enum(suppressionReasons).optional(),
    address: z
      .string()
      .trim()
      .min(1)
      .max(320)
      .transform((text) => normalizePhone(text) ?? text)
      .optional(),
  },
});

export const ListRejections = listQuery({
  item: ImportRejection,
  sorts: rejectionSorts,
  defaultSort: 'row',
  filters: {},
});
