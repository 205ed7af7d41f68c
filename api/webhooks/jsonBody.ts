import { z } from 'zod';
import { AppError } from '../../domain/errors';

/** What is told of a delivery that was taken. */
export const Receipt = z
  .object({
    received: z.int(),
    stored: z.int().meta({ description: 'Those that were not known before' }),
    skipped: z.int(),
  })
  .meta({ id: 'WebhookReceipt' });

/** A signed body as JSON; only to be read once the signature is right. */
export function parseSigned(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new AppError('malformed', 'malformedJson', 'The body is not valid JSON.', { cause });
  }
}
