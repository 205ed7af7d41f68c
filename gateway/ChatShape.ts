import type { FailedAttempt } from '../domain/llm/reactions';
import { promptTokens, tokensOfText } from '../domain/llm/estimate';
import { canTrim, trimOldest } from '../domain/llm/trim';
import type { ChatCall, ChatMessage } from '../domain/llm/types';
import type { Catalogue } from './catalogue';
import type { AskSize } from './models';
import type { Shape } from './runTypes';
import type { ChatAsk } from './types';

const leastTokens = 16;
const longSystemTokens = 1_024;

/** A chat as it is asked by now: trimmed, with fewer tokens, with an answer to repair. */
export class ChatShape implements Shape {
  private messages: readonly ChatMessage[];
  private maxTokens: number;
  private model = '';
  private unfit: { answer: string; problem: string } | null = null;
  private readonly cachesPrompt: boolean;
  /** What the model reads; null where it is to be counted anew. */
  private promptTokens: number | null = null;
  private wasCut = false;

  constructor(
    private readonly ask: ChatAsk,
    private readonly catalogue: Catalogue,
  ) {
    this.messages = ask.messages;
    this.maxTokens = ask.maxTokens;
    this.cachesPrompt = systemTokens(ask.messages) >= longSystemTokens;
  }

  /** Whether it is less than what was asked: without its oldest messages, or with fewer tokens. */
  get isLess(): boolean {
    return this.wasCut;
  }

  size(): AskSize {
    this.promptTokens ??= promptTokens({ ...this.ask, messages: this.read() });
    return { promptTokens: this.promptTokens, completionTokens: this.maxTokens, images: 0 };
  }

  canTrim(): boolean {
    return canTrim(this.messages);
  }

  canLowerTokens(): boolean {
    return this.maxTokens > leastTokens;
  }

  /** The answer that is to be repaired, and what is wrong with it. */
  repair(unfit: { answer: string; problem: string }): void {
    this.unfit = unfit;
    this.promptTokens = null;
  }

  change(way: FailedAttempt['way'], model: string): void {
    this.model = model;
    this.wasCut ||= way === 'trimmed' || way === 'fewerTokens';
    if (way === 'trimmed') {
      this.messages = trimOldest(this.messages, this.roomFor(model)) ?? this.messages;
      this.promptTokens = null;
    }
    if (way === 'fewerTokens') {
      this.maxTokens = Math.max(leastTokens, Math.floor(this.maxTokens / 2));
    }
  }

  call(): ChatCall {
    const { ask, model } = this;
    const most = this.catalogue.find(model)?.maxOutputTokens ?? Infinity;
    return {
      model,
      messages: this.read(),
      maxTokens: Math.min(this.maxTokens, most),
      temperature: ask.temperature,
      tools: ask.tools,
      schema: ask.schema,
      // Of the tenant: two of them may name their conversations alike.
      sessionId: ask.conversation === null ? null : `${ask.asker.tenantId}/${ask.conversation}`,
      endUser: ask.asker.tenantId,
      cachesPrompt: this.cachesPrompt,
    };
  }

  private read(): readonly ChatMessage[] {
    return this.unfit === null ? this.messages : [...this.messages, ...repairOf(this.unfit)];
  }

  // What the model reads, less what it is to write; where that is not known, half of what there is.
  private roomFor(model: string): number {
    const tokens = this.catalogue.find(model)?.contextTokens;
    return tokens === undefined
      ? Math.floor(promptTokens({ ...this.ask, messages: this.messages }) / 2)
      : Math.max(0, Math.floor(tokens * 0.9) - this.maxTokens);
  }
}

function repairOf({ answer, problem }: { answer: string; problem: string }): ChatMessage[] {
  return [
    { role: 'assistant', content: answer },
    {
      role: 'user',
      content: `Your answer does not fit the schema that was asked for. ${problem}\nAnswer again with the JSON alone, and all of it.`,
    },
  ];
}

function systemTokens(messages: readonly ChatMessage[]): number {
  return messages.reduce(
    (tokens, { role, content }) =>
      role === 'system' && typeof content === 'string' ? tokens + tokensOfText(content) : tokens,
    0,
  );
}
