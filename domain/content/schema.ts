import { z } from 'zod';
import { accountChannels as channels } from '../messages/accounts/types';
import { language } from '../customers/schema';
import { modelName } from '../llm/chat/schema';
import { noControls } from '../oneLine';

const line = (most: number) =>
  z.string().trim().min(1).max(most).regex(noControls, 'Must be one line.');

/** What content is to be about, as its author says it. */
export const GenerateContent = z
  .strictObject({
    goal: z.string().trim().min(1).max(2_000).meta({
      description: 'What it is to bring about: "Bring back who has not bought for a year"',
    }),
    facts: z
      .array(line(500))
      .min(1)
      .max(50)
      .meta({ description: 'All that may be said of the product; nothing else is to be claimed' }),
    tone: line(200)
      .optional()
      .meta({ examples: ['warm, without exclamation marks'] }),
    language,
    channel: z.enum(channels),
    count: z.int().min(1).max(10).default(3).meta({ description: 'How many variants' }),
    campaignId: z.uuid().optional().meta({ description: 'The campaign it is for' }),
    model: modelName.optional(),
  })
  .meta({ id: 'GenerateContent' });

export type GenerateContent = z.output<typeof GenerateContent>;

export const contentWarnings = ['longSubject', 'unknownNumber'] as const;

export const contentFailures = [
  'llmBudgetSpent',
  'refused',
  'modelNotUsable',
  'llmFailed',
  'llmUnavailable',
  'notUsable',
  'cancelled',
  'notStarted',
  'notEnded',
] as const;

const Variant = z.object({
  subject: z.string().nullable().meta({ description: 'Null where the channel has none' }),
  body: z.string(),
  warnings: z.array(z.enum(contentWarnings)),
});

export const ContentGeneration = z
  .object({
    id: z.uuid(),
    state: z.enum(['pending', 'done', 'failed']),
    reason: z.enum(contentFailures).nullable().meta({ description: 'Why it failed' }),
    waitsUntil: z
      .string()
      .nullable()
      .meta({ description: 'When it goes on, while no key for language models can serve' }),
    goal: z.string(),
    facts: z.array(z.string()),
    tone: z.string().nullable(),
    language: z.string(),
    channel: z.enum(channels),
    count: z.int(),
    campaignId: z.uuid().nullable(),
    variants: z.array(Variant).meta({
      description: 'Those that are fit to be sent: they may be fewer than were asked for',
    }),
    model: z.string().nullable().meta({ description: 'Which one answered' }),
    callIds: z.array(z.uuid()).meta({ description: 'The calls of models, in usage' }),
    costMicros: z.int().meta({ description: 'In millionths of a US dollar' }),
    createdAt: z.string(),
    endedAt: z.string().nullable(),
  })
  .meta({ id: 'ContentGeneration' });
