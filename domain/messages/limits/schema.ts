import { z } from 'zod';
import { timeZone } from '../../customers/schema';

const mostOf = z.int().min(1).max(1_000_000_000);

const growth = z
  .strictObject({
    from: mostOf.meta({ description: 'What the day `since` allows' }),
    by: z
      .number()
      .min(1)
      .max(10)
      .meta({ description: 'Each day allows so many times the one before' }),
    since: z.iso.date().refine((date) => date >= '2020-01-01' && date < '2100-01-01', {
      params: { code: 'outOfRange' },
      message: 'Lies too far away.',
    }),
  })
  .meta({ description: 'A warm-up: it grows from day to day until `most` is reached' });

const limit = z
  .strictObject({
    per: z.enum(['second', 'minute', 'hour', 'day']),
    unit: z.enum(['calls', 'messages']),
    most: mostOf,
    timeZone: timeZone.default('UTC').meta({ description: 'Where its hours and days begin' }),
    growth: growth.nullable().default(null),
  })
  .refine(({ most, growth: given }) => given === null || given.from <= most, {
    path: ['growth', 'from'],
    params: { code: 'tooBig' },
    message: 'Is more than the limit it grows to.',
  });

/** An account's limits, all of them. */
export const ReplaceLimits = z
  .strictObject({
    limits: z
      .array(limit)
      .max(8)
      .refine(
        (list) => new Set(list.map(({ per, unit }) => `${per} ${unit}`)).size === list.length,
        { params: { code: 'limitRepeated' }, message: 'Names a window and a unit twice.' },
      ),
  })
  .meta({ id: 'ReplaceLimits' });

export const ProviderLimits = z
  .object({
    limits: z.array(
      z.object({
        per: z.enum(['second', 'minute', 'hour', 'day']),
        unit: z.enum(['calls', 'messages']),
        most: z.int(),
        timeZone: z.string(),
        growth: z.object({ from: z.int(), by: z.number(), since: z.iso.date() }).nullable(),
      }),
    ),
  })
  .meta({ id: 'ProviderLimits', description: 'No limit of its own: an empty list' });

/** How fast an account may go just now, and what waits for it. */
export const ProviderRate = z
  .object({
    blockedUntil: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'Nothing leaves before, as the vendor asked or because it was away' }),
    blockedReason: z.string().nullable(),
    pace: z.number().min(0).max(1).meta({
      description:
        'How much of a second’s or minute’s limit is used after refusals; 1 is all of it',
    }),
    windows: z.array(
      z.object({
        per: z.enum(['second', 'minute', 'hour', 'day']),
        unit: z.enum(['calls', 'messages']),
        allowed: z.int().meta({ description: 'Today, where it still grows' }),
        used: z.int().meta({ description: 'Reserved in the newest window' }),
        startsAt: z.iso.datetime(),
      }),
    ),
    waiting: z.object({
      messages: z.int().meta({ description: 'Due, and held up by a limit or by the vendor' }),
      until: z.iso.datetime().nullable(),
    }),
  })
  .meta({ id: 'ProviderRate' });
