import type { Attributes } from './attributes';

export const consentStatuses = ['unknown', 'granted', 'withdrawn'] as const;
export type ConsentStatus = (typeof consentStatuses)[number];

export const suppressionReasons = [
  'unsubscribed',
  'bounced',
  'complained',
  'invalid',
  'manual',
] as const;

/** Channels with addresses that can be suppressed. */
export const suppressionChannels = ['email', 'sms', 'whatsapp'] as const;

export const importStates = ['running', 'completed', 'failed'] as const;

/** A customer as one row of a file says it; null where the file says nothing. */
export interface ImportedCustomer {
  externalId: string | null;
  email: string | null;
  phone: string | null;
  firstName: string | null;
  lastName: string | null;
  language: string | null;
  timeZone: string | null;
  tags: string[] | null;
  attributes: Attributes | null;
  emailConsent: ConsentStatus | null;
  smsConsent: ConsentStatus | null;
  whatsappConsent: ConsentStatus | null;
}

/** Why one row of a file was not imported. */
export interface Rejection {
  row: number;
  field: string | null;
  code: string;
  reason: string;
}
