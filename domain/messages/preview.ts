import type { Recipient } from './content';

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
