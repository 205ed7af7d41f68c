import { tokensOfBytes } from '../../domain/llm/estimate';
import type { BegunAnswer } from '../../domain/llm/failures';
import type { ChatReply, FinishReason, TokenUsage, ToolCall } from '../../domain/llm/types';
import { utf8Length } from '../../domain/messages/utf8Length';
import { countOf, fieldsOf, isFields, listOf, textOf, type Fields } from './fields';
import { microsOf } from './money';

/** Tokens and cost of an answer, of a chunk's `usage` as of a whole one's, or of pictures. */
export function usageOf(value: unknown): TokenUsage {
  const usage = fieldsOf(value);
  return {
    promptTokens: tokensOf(usage['prompt_tokens'] ?? usage['input_tokens']),
    completionTokens: tokensOf(usage['completion_tokens'] ?? usage['output_tokens']),
    cachedTokens: tokensOf(
      fieldsOf(usage['prompt_tokens_details'] ?? usage['input_tokens_details'])['cached_tokens'],
    ),
    reasoningTokens: tokensOf(
      fieldsOf(usage['completion_tokens_details'] ?? usage['output_tokens_details'])[
        'reasoning_tokens'
      ],
    ),
    costMicros: costOf(usage['cost']),
  };
}

// More than any model reads or writes: what is told beyond it is not told.
const mostTokens = 100_000_000;

/** Tokens of an answer; 0 for what no answer has. */
export function tokensOf(value: unknown): number {
  const tokens = countOf(value);
  return tokens <= mostTokens ? tokens : 0;
}

/** What an answer cost, in micros; null for what no answer costs. */
export function costOf(dollars: unknown): number | null {
  const micros = microsOf(dollars);
  return micros !== null && micros >= 0 ? micros : null;
}

const longestName = 200;

/** The name of a model or an answer; null where it is none that anybody would give. */
export function nameOf(value: unknown): string | null {
  return typeof value === 'string' && value.length <= longestName && /^[!-~]+$/.test(value)
    ? value
    : null;
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
  private hasHead = false;
  private writtenBytes = 0;

  /** An answer is promised; its id may be told already. */
  promised(id: string | null): void {
    this.hasHead = true;
    this.id ??= nameOf(id);
  }

  /** What all of its shapes share: the vendor's id, the model, the usage. */
  takeHead(answer: Fields): void {
    this.id ??= nameOf(answer['id']);
    this.answering ??= nameOf(answer['model']);
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
    const refusal = textOf(part['refusal']);
    this.refusal ||= refusal !== null;
    this.writtenBytes += utf8Length(text) + utf8Length(refusal ?? '') + thoughtBytes(part);
    listOf(part['tool_calls']).forEach((call, at) => this.takeCall(fieldsOf(call), at));
    return text;
  }

  takeFinish(value: unknown): void {
    this.finish = value ?? this.finish;
  }

  get generationId(): string | null {
    return this.id;
  }

  /** Whether the model is at work, though it may only think. */
  get hasBegun(): boolean {
    return this.hasContent || this.writtenBytes > 0;
  }

  /**
   * What had come of an answer that failed; null where there was none, or where the vendor said that
   * it failed before anything of it came.
   */
  begun({ isSaid }: { isSaid: boolean }): BegunAnswer | null {
    const usage = this.usage === null ? null : usageOf(this.usage);
    return !this.hasHead || (isSaid && usage === null && !this.hasBegun)
      ? null
      : { usage, writtenTokens: tokensOfBytes(this.writtenBytes) };
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
    const piece = textOf(asked['arguments']) ?? '';
    found.pieces.push(piece);
    this.writtenBytes += utf8Length(piece);
    this.calls.set(index, found);
  }
}

// Thoughts are billed as text is. Some vendors tell the same one twice, in two shapes.
function thoughtBytes(part: Fields): number {
  const details = listOf(part['reasoning_details']).map((detail) => {
    const { text, summary, data } = fieldsOf(detail);
    return utf8Length(textOf(text) ?? textOf(summary) ?? textOf(data) ?? '');
  });
  return Math.max(
    utf8Length(contentOf(part['reasoning'])),
    utf8Length(contentOf(part['reasoning_content'])),
    details.reduce((sum, bytes) => sum + bytes, 0),
  );
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
