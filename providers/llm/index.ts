import { createOpenAi } from './openai';
import { createOpenRouter } from './openrouter';
import type { LlmProvider } from './types';
import { Wire, type WireOptions } from './wire';

export const llmVendors = ['openrouter', 'openai'] as const;

export type LlmVendor = (typeof llmVendors)[number];

export type LlmProviders = Readonly<Record<LlmVendor, LlmProvider>>;

const vendors = {
  openrouter: createOpenRouter,
  openai: createOpenAi,
} satisfies Record<LlmVendor, (wire: Wire) => LlmProvider>;

/** The vendors of language models, one each for the whole process: keys come with each call. */
export function createLlmProviders(options: WireOptions): LlmProviders {
  return {
    openrouter: vendors.openrouter(new Wire(options)),
    openai: vendors.openai(new Wire(options)),
  };
}
