import type { Content, Recipient } from './content';
import { type CompiledContent, compileContent } from './compileContent';

/** A campaign's content as it is stored, with the names its templates may show. */
export interface StoredContent {
  subject: string;
  preheader: string | null;
  html: string;
  text: string | null;
  campaignName: string;
  tenantName: string;
}

/**
 * Compiles stored content as a delivery does, so that a preview shows the same bytes.
 *
 * @throws ContentError when it cannot be sent as it is
 */
export function compileStored(
  stored: StoredContent,
  options: { trackClicks?: boolean; trackOpens?: boolean } = {},
): CompiledContent {
  const content: Content = {
    subject: stored.subject,
    preheader: stored.preheader ?? undefined,
    html: stored.html,
    text: stored.text ?? undefined,
  };
  return compileContent(content, {
    ...options,
    campaignName: stored.campaignName,
    tenantName: stored.tenantName,
  });
}

/** Addresses as a delivered message has them; they belong to no message and lead nowhere. */
export function previewLinks(publicUrl: string): Recipient['links'] {
  return {
    click: `${publicUrl}/t/c/preview`,
    open: `${publicUrl}/t/o/preview`,
    unsubscribe: `${publicUrl}/t/u/preview`,
  };
}

/** Somebody to show a message for when no customer is chosen. */
export const sampleCustomer: ShownCustomer = {
  email: 'alex.sample@example.com',
  firstName: 'Alex',
  lastName: 'Sample',
  phone: '+12025550123',
  language: 'en',
  timeZone: 'UTC',
  externalId: 'sample',
  tags: [],
  attributes: {},
};

/** A customer as a message is rendered for them, before it has a number. */
export type ShownCustomer = Omit<Recipient, 'n' | 'links'>;

/** The recipient of a preview or a test: the customer with links that count for nobody. */
export function previewRecipient(customer: ShownCustomer, publicUrl: string): Recipient {
  return {
    n: 0,
    email: customer.email,
    firstName: customer.firstName,
    lastName: customer.lastName,
    phone: customer.phone,
    language: customer.language,
    timeZone: customer.timeZone,
    externalId: customer.externalId,
    tags: customer.tags,
    attributes: customer.attributes,
    links: previewLinks(publicUrl),
  };
}
