import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { ChatReply } from '../domain/llm/types';
import type { ChatAsk } from './types';

/** An answer that was checked, as it is kept. */
export interface KeptReply {
  readonly reply: ChatReply;
  readonly json: unknown;
}

const maxBytes = 32 * 1024 * 1024;
const maxEntryBytes = 512 * 1024;
const keptMs = 10 * 60_000;

/**
 * Answers that would be the same again, in the memory of this process alone: of calls without chance
 * and without tools. None of one tenant is ever another's.
 */
export class ReplyCache {
  private readonly kept = new LRUCache<string, KeptReply>({
    maxSize: maxBytes,
    maxEntrySize: maxEntryBytes,
    ttl: keptMs,
    sizeCalculation: sizeOf,
  });

  /** Under what its answer is kept; null where it is not. */
  keyOf(ask: ChatAsk, models: readonly string[]): string | null {
    if (ask.temperature !== 0 || ask.tools.length > 0) {
      return null;
    }
    const call = [models, ask.messages, ask.maxTokens, ask.schema];
    const hash = createHash('sha256').update(JSON.stringify(call)).digest('base64url');
    return `${ask.asker.tenantId} ${hash}`;
  }

  get(key: string | null): KeptReply | null {
    return key === null ? null : (this.kept.get(key) ?? null);
  }

  /** Keeps whole answers: one that was cut off might be longer another time. */
  set(key: string | null, kept: KeptReply): void {
    if (key !== null && kept.reply.finishReason === 'stop') {
      this.kept.set(key, kept);
    }
  }
}

// What is read out of a text can be many times as large: arrays in arrays are.
function sizeOf({ reply, json }: KeptReply): number {
  const { text, toolCalls } = reply;
  const read = json === null ? 0 : 16 * text.length;
  const called = toolCalls.reduce((sum, call) => sum + call.arguments.length + 500, 0);
  return 2 * (text.length + called) + read + 500;
}
