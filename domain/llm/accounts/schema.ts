import { z } from 'zod';
import { noControls } from '../../oneLine';
import { keyStandings, llmVendors } from '../types';

const name = z.string().trim().min(1).max(100).regex(noControls, 'Must be one line.');
const most = z.int().min(1).max(10_000).nullable();
const micros = z.int().min(0).max(1_000_000_000_000);

/** An API key of a vendor: it goes into an HTTP header. */
export const apiKey = z
  .string()
  .trim()
  .min(8)
  .max(500)
  .regex(/^[\x21-\x7e]+$/, 'Must be visible ASCII without spaces.')
  .meta({ writeOnly: true });

const baseUrl = z
  .url({ protocol: /^https?$/ })
  .max(500)
  .transform((url) => url.replace(/\/+$/, ''))
  .refine((url) => !/[?#@]/.test(url), 'Must have no query, fragment or credentials.');

const values = {
  name,
  managementKey: apiKey.nullable().meta({
    description: 'Opens the account’s credits at OpenRouter, and no model; null for none',
  }),
  maxConcurrency: most.meta({
    description: 'At most so many calls at a time from each process; null for the default',
  }),
  balanceFloorMicros: micros.meta({
    description: 'An account with no more credit than this is not used; millionths of a US dollar',
  }),
};

export const WriteLlmAccount = z
  .strictObject({
    ...values,
    vendor: z.enum(llmVendors).default('openrouter').meta({
      description: '`openai` is any endpoint that speaks OpenAI’s protocol',
    }),
    baseUrl: baseUrl.optional().meta({
      description: 'Where calls go; OpenRouter’s or OpenAI’s own address if not given',
    }),
    managementKey: values.managementKey.default(null),
    maxConcurrency: values.maxConcurrency.default(null),
    balanceFloorMicros: values.balanceFloorMicros.default(0),
  })
  .meta({ id: 'WriteLlmAccount' });

export const ChangeLlmAccount = z
  .strictObject({ ...values, baseUrl })
  .partial()
  .meta({ id: 'ChangeLlmAccount' });

export const LlmAccount = z
  .object({
    id: z.uuid(),
    name: z.string(),
    vendor: z.enum(llmVendors),
    baseUrl: z.string(),
    hasManagementKey: z.boolean(),
    standing: z.enum(keyStandings).meta({
      description: 'What a person said of it: it holds for all its keys',
    }),
    standingReason: z.string().nullable(),
    standingAt: z.iso.datetime(),
    maxConcurrency: z.int().nullable(),
    balanceFloorMicros: z.int(),
    balance: z
      .object({ micros: z.int(), asOf: z.iso.datetime() })
      .nullable()
      .meta({ description: 'Its credit, as the vendor said last' }),
    keys: z.int().meta({ description: 'How many keys it has that are not revoked' }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'LlmAccount' });
