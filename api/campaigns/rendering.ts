import { invalidField } from '../../domain/errors';
import { RenderFailure } from '../../domain/messages/content';
import {
  previewRecipient,
  sampleCustomer,
  type ShownCustomer,
} from '../../domain/messages/preview';
import {
  renderStored,
  type RenderedStored,
  type StoredMessage,
} from '../../domain/messages/renderStored';
import type { Knex } from '../../lib/db';
import { findCustomer } from '../../models/customers/customers';

/** The tenant's customer a message is shown for, or somebody made up. */
export async function shownCustomer(
  trx: Knex.Transaction,
  tenantId: string,
  customerId: string | undefined,
): Promise<ShownCustomer> {
  if (customerId === undefined) {
    return sampleCustomer;
  }
  const customer = await findCustomer(trx, { tenantId, id: customerId });
  if (customer === null) {
    throw invalidField('customerId', 'unknownCustomer', 'There is no such customer.');
  }
  return customer;
}

/** The message for one customer; 422 renderFailed when their values do not fit the content. */
export function renderShown(
  content: StoredMessage,
  customer: ShownCustomer,
  options: { publicUrl: string; isTracked: boolean },
): RenderedStored {
  const { isTracked } = options;
  try {
    return renderStored(content, previewRecipient(customer, options.publicUrl), {
      at: new Date(),
      isTracked,
    });
  } catch (error) {
    if (error instanceof RenderFailure) {
      throw invalidField(
        'customerId',
        'renderFailed',
        `The message cannot be rendered for this customer: ${error.message}.`,
      );
    }
    throw error;
  }
}
