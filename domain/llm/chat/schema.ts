import { z } from 'zod';
import { noControls } from '../../oneLine';

/** A model's name at its vendor. */
export const modelName = z.string().regex(/^[\w./:@-]{1,200}$/, 'Is no name of a model.');

const word = z.string().regex(/^[\w-]{1,64}$/, 'Takes 1 to 64 of letters, digits, _ and -.');
const text = z.string().max(1_000_000);
const jsonSchema = z.record(z.string(), z.unknown()).meta({ description: 'A JSON Schema' });

const part = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text: text.min(1) }),
  z.strictObject({
    type: z.literal('image'),
    url: z
      .string()
      .max(4_000_000)
      .regex(
        /^(https:\/\/[^\s]+|data:image\/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2})$/,
        'Is no https address of a picture, and no data URL of one.',
      )
      .meta({ description: 'An https address, or a data URL' }),
  }),
]);
const content = z.union([text.min(1), z.array(part).min(1).max(50)]);

const message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content }),
  z.strictObject({ role: z.literal('user'), content }),
  z.strictObject({
    role: z.literal('assistant'),
    content: text.nullable(),
    toolCalls: z
      .array(z.strictObject({ id: z.string().min(1).max(200), name: word, arguments: text }))
      .max(64)
      .optional(),
  }),
  z.strictObject({
    role: z.literal('tool'),
    toolCallId: z.string().min(1).max(200),
    content: text,
  }),
]);

export const AskModel = z
  .strictObject({
    messages: z.array(message).min(1).max(500),
    model: modelName
      .optional()
      .meta({ description: 'Default: that of the tenant, else of the platform' }),
    fallbackModels: z
      .array(modelName)
      .max(5)
      .optional()
      .meta({ description: 'Asked in this order where the model cannot answer' }),
    temperature: z
      .number()
      .min(0)
      .max(2)
      .optional()
      .meta({ description: 'At 0 an answer may be one that was given before' }),
    maxTokens: z.int().min(1).max(200_000).default(1_024),
    tools: z
      .array(
        z.strictObject({
          name: word,
          description: z.string().max(4_000).default(''),
          parameters: jsonSchema,
        }),
      )
      .max(64)
      .default([]),
    schema: z
      .strictObject({ name: word, schema: jsonSchema })
      .optional()
      .meta({ description: 'What the answer must fit; it is then in `json` too' }),
    conversation: z
      .string()
      .min(1)
      .max(200)
      .regex(noControls, 'Must be one line.')
      .optional()
      .meta({
        description:
          'Whatever names the conversation this belongs to: its calls stay with one account, which makes long prompts cheaper. It is not passed on as it is.',
      }),
    feature: z
      .string()
      .regex(/^[a-z][a-zA-Z]{0,39}$/, 'Is one word that begins with a small letter.')
      .default('script')
      .meta({ description: 'What usage and budgets count it under' }),
    stream: z
      .boolean()
      .default(false)
      .meta({ description: 'Whether the answer is to come as it is written' }),
  })
  .meta({ id: 'AskModel' });

export type AskModel = z.output<typeof AskModel>;

const count = z.int().min(0);

export const ModelAnswer = z
  .object({
    id: z.uuid().meta({ description: 'Of the call, in usage' }),
    model: z.string().meta({ description: 'Which one answered' }),
    text: z.string(),
    json: z.unknown().meta({ description: 'What the text says, checked; null without a schema' }),
    toolCalls: z.array(z.object({ id: z.string(), name: z.string(), arguments: z.string() })),
    finishReason: z.enum(['stop', 'length', 'toolCalls', 'contentFilter']),
    usage: z.object({
      promptTokens: count,
      completionTokens: count,
      cachedTokens: count,
      reasoningTokens: count,
    }),
    costMicros: count.meta({ description: 'In millionths of a US dollar' }),
    attempts: count.meta({ description: 'Calls to vendors; 0 for an answer given before' }),
  })
  .meta({ id: 'ModelAnswer' });
