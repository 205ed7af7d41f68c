import { z } from 'zod';
import { noControls } from '../../oneLine';
import { apiKey } from '../accounts/schema';
import { keyStandings } from '../types';

const label = z.string().trim().min(1).max(100).regex(noControls, 'Must be one line.');

const values = {
  label,
  weight: z.int().min(1).max(1_000).meta({
    description: 'Its share of the calls beside the other keys’ weights',
  }),
  maxConcurrency: z.int().min(1).max(10_000).nullable().meta({
    description: 'At most so many calls at a time from each process; null for the default',
  }),
  allowedModels: z
    .array(
      z
        .string()
        .trim()
        .regex(
          /^[\w./:@-]{1,199}\*?$/,
          'Is no name of a model, or the beginning of some with * behind it.',
        ),
    )
    .min(1)
    .max(200)
    .nullable()
    .meta({ description: 'Names, or beginnings with * at the end; null for all models' }),
  workspace: label.nullable().meta({
    description: 'Keys of one workspace share its budget at the vendor',
  }),
  expiresAt: z.iso.datetime({ offset: true }).nullable().meta({
    description: 'From when on it is not used any more',
  }),
};

export const WriteLlmKey = z
  .strictObject({
    accountId: z.uuid(),
    secret: apiKey,
    label,
    weight: values.weight.default(100),
    maxConcurrency: values.maxConcurrency.default(null),
    allowedModels: values.allowedModels.default(null),
    workspace: values.workspace.default(null),
    expiresAt: values.expiresAt.default(null),
  })
  .meta({ id: 'WriteLlmKey' });

export const ChangeLlmKey = z.strictObject(values).partial().meta({ id: 'ChangeLlmKey' });

export const LlmKey = z
  .object({
    id: z.uuid(),
    accountId: z.uuid(),
    label: z.string(),
    last4: z.string().meta({ description: 'Its last four characters' }),
    weight: z.int(),
    maxConcurrency: z.int().nullable(),
    allowedModels: z.array(z.string()).nullable(),
    workspace: z.string().nullable(),
    expiresAt: z.iso.datetime().nullable(),
    standing: z.enum(keyStandings).meta({ description: 'What a person said of it' }),
    standingReason: z.string().nullable(),
    standingAt: z.iso.datetime(),
    replaces: z.uuid().nullable().meta({ description: 'The key in whose place it came' }),
    limit: z
      .object({
        micros: z.int().nullable(),
        remainingMicros: z.int().nullable(),
        resets: z.enum(['daily', 'weekly', 'monthly']).nullable(),
        asOf: z.iso.datetime(),
      })
      .nullable()
      .meta({ description: 'Its own limit at the vendor, as the vendor said last' }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'LlmKey' });
