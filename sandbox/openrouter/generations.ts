import { charge, type KeyState } from './accounts';
import { newId } from '../../lib/ids';
import type { OpenRouterCall } from './calls';
import type { SandboxModel } from './catalogue';

const KEPT = 20_000;

/** What one answer used and cost. */
export interface Generation {
  id: string;
  createdAt: number;
  account: string;
  model: SandboxModel;
  isStream: boolean;
  isCancelled: boolean;
  finish: string | null;
  tokens: { prompt: number; completion: number; cached: number };
  costMicros: number;
}

/** Answers that were billed, by their ids; the oldest are forgotten. */
export class Generations {
  private readonly byId = new Map<string, Generation>();

  /** Takes what an answer costs off its key and account, and remembers it. */
  bill(key: KeyState, call: OpenRouterCall, made: Omit<Generation, 'createdAt' | 'account'>): void {
    const now = Date.now();
    call.costMicros = made.costMicros;
    charge(key, made.costMicros, now);
    this.byId.set(made.id, { ...made, createdAt: now, account: key.account.id });
    if (this.byId.size > KEPT) {
      const [oldest] = this.byId.keys();
      this.byId.delete(oldest ?? '');
    }
  }

  find(id: string, account: string): Generation | null {
    const found = this.byId.get(id);
    return found?.account === account ? found : null;
  }

  clear(): void {
    this.byId.clear();
  }
}

export function newGenerationId(): string {
  return `gen-${newId()}`;
}

/** US dollars, as the vendor writes them: to the ten-billionth. */
export function dollars(micros: number): number {
  return Math.round(micros * 1e4) / 1e10;
}

/** The body of `GET /generation`. */
export function generationBody(made: Generation) {
  const { tokens, model } = made;
  return {
    data: {
      id: made.id,
      total_cost: dollars(made.costMicros),
      usage: dollars(made.costMicros),
      created_at: new Date(made.createdAt).toISOString(),
      model: model.id,
      provider_name: model.provider,
      streamed: made.isStream,
      cancelled: made.isCancelled,
      finish_reason: made.finish,
      native_finish_reason: made.finish,
      tokens_prompt: tokens.prompt,
      tokens_completion: tokens.completion,
      native_tokens_prompt: tokens.prompt,
      native_tokens_completion: tokens.completion,
      native_tokens_reasoning: 0,
      native_tokens_cached: tokens.cached,
      cache_discount: null,
      upstream_inference_cost: null,
      is_byok: false,
    },
  };
}

/** `usage` of an answer. */
export function usageBody(tokens: Generation['tokens'], costMicros: number) {
  return {
    prompt_tokens: tokens.prompt,
    completion_tokens: tokens.completion,
    total_tokens: tokens.prompt + tokens.completion,
    cost: dollars(costMicros),
    is_byok: false,
    prompt_tokens_details: { cached_tokens: tokens.cached, audio_tokens: 0 },
    cost_details: { upstream_inference_cost: null },
    completion_tokens_details: { reasoning_tokens: 0, image_tokens: 0 },
  };
}
