/**
 * What is asked where nobody chose a model, the first that is offered: answers in the form of a schema
 * and texts that read well, for little. An admin's choice stands above it.
 */
export const preferredModels = [
  'openai/gpt-5-mini',
  'openai/gpt-4o-mini',
  'google/gemini-2.5-flash',
  'anthropic/claude-haiku-4.5',
] as const;
