import type { ChatCall, ChatMessage, ContentPart, ToolCall } from '../../domain/llm/types';

export type Body = Record<string, unknown>;

/**
 * What all who speak as OpenAI does understand. `marksCache` is for models that cache only what they
 * are told to.
 */
export function chatBody(call: ChatCall, { marksCache }: { marksCache: boolean }): Body {
  const { model, messages, temperature, tools, schema, endUser } = call;
  return {
    model,
    messages: marksCache ? markedMessages(messages) : messages.map(messageBody),
    ...(temperature === null ? {} : { temperature }),
    ...(tools.length === 0
      ? {}
      : { tools: tools.map((tool) => ({ type: 'function', function: tool })) }),
    ...(schema === null
      ? {}
      : {
          response_format: {
            type: 'json_schema',
            json_schema: { name: schema.name, strict: true, schema: schema.schema },
          },
        }),
    ...(endUser === null ? {} : { user: endUser }),
  };
}

function messageBody(message: ChatMessage): Body {
  switch (message.role) {
    case 'tool':
      return { role: 'tool', tool_call_id: message.toolCallId, content: message.content };
    case 'assistant':
      return {
        role: 'assistant',
        content: message.content,
        ...(message.toolCalls === undefined || message.toolCalls.length === 0
          ? {}
          : { tool_calls: message.toolCalls.map(toolCallBody) }),
      };
    case 'system':
    case 'user':
      return {
        role: message.role,
        content:
          typeof message.content === 'string' ? message.content : message.content.map(partBody),
      };
  }
}

// Shorter ones are not cached (1,024 tokens), and not more than four marks are taken.
const shortestCached = 4_000;
const mostMarks = 4;

function markedMessages(messages: readonly ChatMessage[]): Body[] {
  const marked = new Set(messages.filter(isLongSystem).slice(0, mostMarks));
  return messages.map((message) =>
    message.role === 'system' && marked.has(message)
      ? { role: 'system', content: markedParts(message.content) }
      : messageBody(message),
  );
}

function isLongSystem({ role, content }: ChatMessage): boolean {
  const length =
    typeof content === 'string'
      ? content.length
      : (content ?? []).reduce(
          (sum, part) => sum + (part.type === 'text' ? part.text.length : 0),
          0,
        );
  return role === 'system' && length >= shortestCached;
}

// All up to the mark is cached, so the last part carries it.
function markedParts(content: string | readonly ContentPart[]): Body[] {
  const parts =
    typeof content === 'string' ? [{ type: 'text', text: content }] : content.map(partBody);
  return parts.map((part, at) =>
    at === parts.length - 1 ? { ...part, cache_control: { type: 'ephemeral' } } : part,
  );
}

function toolCallBody({ id, name, arguments: written }: ToolCall): Body {
  return { id, type: 'function', function: { name, arguments: written } };
}

function partBody(part: ContentPart): Body {
  return part.type === 'text'
    ? { type: 'text', text: part.text }
    : { type: 'image_url', image_url: { url: part.url } };
}

/** The texts of a prompt: what no error may repeat. */
export function promptTexts(messages: readonly ChatMessage[]): string[] {
  return messages.flatMap(({ content }) => {
    if (content === null) {
      return [];
    }
    return typeof content === 'string'
      ? [content]
      : content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  });
}
