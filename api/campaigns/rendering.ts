import { invalidField } from '../../domain/errors';
import type { CompiledContent } from '../../domain/messages/compileContent';
import { type Recipient, type RenderedMessage, RenderFailure } from '../../domain/messages/content';
import { renderOne } from '../../domain/messages/renderOne';
import { sampleCustomer, type ShownCustomer } from '../../domain/messages/preview';
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

/** The message for one recipient; 422 renderFailed when their values do not fit the content. */
export function renderShown(compiled: CompiledContent, recipient: Recipient): RenderedMessage {
  try {
    return renderOne(compiled, recipient, { at: new Date() });
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
