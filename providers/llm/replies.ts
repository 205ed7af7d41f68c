import type { ChatReply, FinishReason, TokenUsage, ToolCall } from '../../domain/llm/types';
import { countOf, fieldsOf, isFields, listOf, textOf, type Fields } from './fields';
import { microsOf } from './money';

/** Tokens and cost of an answer, of a chunk's `usage` as of a whole one's. */
export function usageOf(value: unknown): TokenUsage {
  const usage = fieldsOf(value);
  return {
    promptTokens: countOf(usage['prompt_tokens']),
    completionTokens: countOf(usage['completion_tokens']),
    cachedTokens: countOf(fieldsOf(usage['prompt_tokens_details'])['cached_tokens']),
    reasoningTokens: countOf(fieldsOf(usage['completion_tokens_details'])['reasoning_tokens']),
    costMicros: microsOf(usage['cost']),
  };
}

/** `error` and whatever else is no end of an answer becomes null. */
export function finishOf(value: unknown): FinishReason | null {
  return typeof value === 'string' ? (finishes[value] ?? null) : null;
}

const finishes: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'toolCalls',
  function_call: 'toolCalls',
  content_filter: 'contentFilter',
};

/** The first choice of an answer or a chunk. */
export function choiceOf(answer: Fields): Fields {
  return fieldsOf(listOf(answer['choices'])[0]);
}

/** Text of a message or a delta, also where it comes in parts. */
export function contentOf(content: unknown): string {
  return typeof content === 'string'
    ? content
    : listOf(content)
        .map((part) => textOf(fieldsOf(part)['text']) ?? '')
        .join('');
}

/** Collects an answer, whole or in pieces, and says at its end what it is. */
export class ReplyParts {
  private readonly texts: string[] = [];
  private readonly calls = new Map<number, { id: string; name: string; pieces: string[] }>();
  private refusal = false;
  private finish: unknown = null;
  private usage: unknown = null;
  private id: string | null = null;
  private answering: string | null = null;

  /** What all of its shapes share: the vendor's id, the model, the usage. */
  takeHead(answer: Fields): void {
    this.id ??= textOf(answer['id']);
    this.answering ??= textOf(answer['model']);
    if (isFields(answer['usage'])) {
      this.usage = answer['usage'];
    }
  }

  /** A message or a delta; answers the text in it. */
  take(part: Fields): string {
    const text = contentOf(part['content']);
    if (text !== '') {
      this.texts.push(text);
    }
    this.refusal ||= textOf(part['refusal']) !== null;
    listOf(part['tool_calls']).forEach((call, at) => this.takeCall(fieldsOf(call), at));
    return text;
  }

  takeFinish(value: unknown): void {
    this.finish = value ?? this.finish;
  }

  get generationId(): string | null {
    return this.id;
  }

  /** Whether it says something: text or tool calls. */
  get hasContent(): boolean {
    return this.texts.length > 0 || this.calls.size > 0;
  }

  get isFinished(): boolean {
    return finishOf(this.finish) !== null;
  }

  /** The answer; or why it is none. */
  end(model: string): ChatReply | 'empty' | 'refused' {
    const usage = usageOf(this.usage);
    const finishReason = finishOf(this.finish) ?? 'stop';
    if (!this.hasContent) {
      if (this.refusal || finishReason === 'contentFilter') {
        return 'refused';
      }
      // All that was allowed went into thinking: asking again brings the same.
      if (finishReason !== 'length' || usage.completionTokens === 0) {
        return 'empty';
      }
    }
    return {
      generationId: this.id,
      model: this.answering ?? model,
      text: this.texts.join(''),
      toolCalls: [...this.calls.entries()]
        .toSorted(([a], [b]) => a - b)
        .map(([, call]) => toolCallOf(call)),
      finishReason,
      usage,
    };
  }

  // A call comes in pieces that name their place; the first one has its id and name.
  private takeCall(call: Fields, at: number): void {
    const index = typeof call['index'] === 'number' ? call['index'] : at;
    const asked = fieldsOf(call['function']);
    const found = this.calls.get(index) ?? { id: '', name: '', pieces: [] };
    found.id ||= textOf(call['id']) ?? '';
    found.name ||= textOf(asked['name']) ?? '';
    found.pieces.push(textOf(asked['arguments']) ?? '');
    this.calls.set(index, found);
  }
}

function toolCallOf({
  id,
  name,
  pieces,
}: {
  id: string;
  name: string;
  pieces: string[];
}): ToolCall {
  return { id, name, arguments: pieces.join('') };
}
