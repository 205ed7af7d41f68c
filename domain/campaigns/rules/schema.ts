import { z } from 'zod';
import { openMinutes } from '../quietHours';
import { longestCapDays } from './types';

const leastOpenMinutes = 60;

const clock = z.iso.time({ precision: -1 });

/** From when until when nothing leaves. Null is none, also where the tenant has some. */
export const quietHours = z
  .strictObject({
    from: clock.meta({ description: 'HH:mm on each customer’s clock' }),
    to: clock.meta({ description: 'HH:mm, on the next day where it is not after `from`' }),
  })
  .refine((hours) => hours.from !== hours.to && openMinutes(hours) >= leastOpenMinutes, {
    params: { code: 'tooLong' },
    message: 'Leaves less than an hour a day to send in.',
  })
  .nullable()
  .meta({
    description: 'When nothing leaves, on each customer’s own clock; null is never',
  });

/** How often a customer may be written to. Null is no cap, also where the tenant has one. */
export const frequencyCap = z
  .strictObject({
    messages: z.int().min(1).max(100),
    days: z.int().min(1).max(longestCapDays).meta({ description: 'Of 24 hours each' }),
    whenCapped: z.enum(['later', 'skip']).default('later').meta({
      description: 'What becomes of a message whose customer has had so many: sent later, or not',
    }),
  })
  .nullable()
  .meta({
    description:
      'At most so many messages to a customer in so many days, counted over the campaigns of the channel that have a cap; null is none',
  });

/** What campaigns of a tenant keep to when their schedules say nothing of it. */
export const SendingRules = z
  .strictObject({
    quietHours,
    frequencyCaps: z.strictObject({
      email: frequencyCap,
      sms: frequencyCap,
      whatsapp: frequencyCap,
    }),
  })
  .meta({ id: 'SendingRules' });
