import { isObject, type JsonObject } from './answers/schemaValue';
import { refusal, type Refusal } from './errors';

/** A tool that the model may call. */
export interface ChatTool {
  name: string;
  description: string;
  parameters: unknown;
}

/** What a chat request asks for, as far as the stand-in looks at it. */
export interface ChatRequest {
  models: readonly [string, ...string[]];
  system: string;
  question: string;
  /** All there is to read, for its length. */
  promptChars: number;
  /** Whether the last word is the result of a tool. */
  afterTool: string | null;
  isStream: boolean;
  maxTokens: number | null;
  temperature: number | null;
  /** Of the first stop sequence. */
  stop: readonly string[];
  schema: unknown;
  isJson: boolean;
  tools: readonly ChatTool[];
  /** A tool that has to be called: its name, or `any`; `none` forbids. */
  toolChoice: string | null;
  sessionId: string | null;
  user: string | null;
  /** Whether a part is marked to be cached. */
  cachesPrompt: boolean;
}

const ROLES = new Set(['system', 'developer', 'user', 'assistant', 'tool']);

/** Reads a body; a refusal where the vendor would give one. */
export function readChat(body: unknown): ChatRequest | Refusal {
  if (!isObject(body)) {
    return invalid('Invalid input: expected object');
  }
  const models = modelsOf(body);
  if (!models) {
    return invalid('No models provided');
  }
  const { messages } = body;
  if (!Array.isArray(messages) || messages.length === 0) {
    return invalid('Input required: specify "prompt" or "messages"');
  }
  const read = readMessages(messages);
  if ('status' in read) {
    return read;
  }
  const wrong = wrongNumber(body);
  if (wrong !== null) {
    return invalid(wrong);
  }
  const format = isObject(body.response_format) ? body.response_format : null;
  const jsonSchema = isObject(format?.json_schema) ? format.json_schema : null;
  if (format?.type === 'json_schema' && !isObject(jsonSchema?.schema)) {
    return invalid('response_format.json_schema.schema: expected object');
  }
  return {
    models,
    ...read,
    isStream: body.stream === true,
    maxTokens: numberIn(body.max_tokens) ?? numberIn(body.max_completion_tokens),
    temperature: numberIn(body.temperature),
    stop: stopsOf(body.stop),
    schema: jsonSchema?.schema ?? null,
    isJson: format?.type === 'json_schema' || format?.type === 'json_object',
    tools: toolsOf(body.tools),
    toolChoice: toolChoiceOf(body.tool_choice),
    sessionId: textIn(body.session_id),
    user: textIn(body.user),
  };
}

export function modelsOf(body: JsonObject): [string, ...string[]] | null {
  const listed: unknown[] = Array.isArray(body.models) ? body.models : [];
  const [first, ...others] = [body.model, ...listed].filter(
    (model): model is string => typeof model === 'string' && model !== '',
  );
  return first === undefined ? null : [first, ...others];
}

function invalid(message: string, errorType = 'invalid_request'): Refusal {
  return refusal(400, message, { error_type: errorType });
}

type Messages = Pick<
  ChatRequest,
  'system' | 'question' | 'promptChars' | 'afterTool' | 'cachesPrompt'
>;

function readMessages(messages: readonly unknown[]): Messages | Refusal {
  const read: Messages = {
    system: '',
    question: '',
    promptChars: 0,
    afterTool: null,
    cachesPrompt: false,
  };
  for (const [at, message] of messages.entries()) {
    if (!isObject(message) || typeof message.role !== 'string' || !ROLES.has(message.role)) {
      return invalid(`messages.${at}.role: unsupported role`, 'invalid_prompt');
    }
    const text = textOf(message.content);
    const calls = Array.isArray(message.tool_calls) ? message.tool_calls.length : 0;
    if (text === null && !(message.role === 'assistant' && calls > 0)) {
      return invalid(`messages.${at}.content: expected text or parts`, 'invalid_prompt');
    }
    read.promptChars += text?.length ?? 0;
    read.cachesPrompt ||= hasCacheMark(message.content);
    if (message.role === 'system' || message.role === 'developer') {
      read.system += `${text ?? ''}\n`;
    } else if (message.role === 'user') {
      read.question = text ?? '';
    }
    read.afterTool = message.role === 'tool' ? text : null;
  }
  return read;
}

function textOf(content: unknown): string | null {
  if (typeof content === 'string') {
    return content;
  }
  if (!Array.isArray(content)) {
    return null;
  }
  const parts: readonly unknown[] = content;
  return parts
    .map((part) => (isObject(part) && typeof part.text === 'string' ? part.text : ''))
    .join('\n');
}

function hasCacheMark(content: unknown): boolean {
  return (
    Array.isArray(content) && content.some((part) => isObject(part) && isObject(part.cache_control))
  );
}

function wrongNumber(body: JsonObject): string | null {
  const ranges = [
    ['temperature', 0, 2],
    ['top_p', 0, 1],
    ['max_tokens', 1, Infinity],
    ['max_completion_tokens', 1, Infinity],
  ] as const;
  for (const [name, least, most] of ranges) {
    const value = body[name];
    if (value === undefined || value === null) {
      continue;
    }
    if (typeof value !== 'number' || value < least || value > most) {
      return `${name}: expected a number from ${least} to ${most}`;
    }
  }
  return null;
}

function numberIn(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

function textIn(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function stopsOf(stop: unknown): string[] {
  const list: readonly unknown[] = Array.isArray(stop) ? stop : [stop];
  return list.filter((each): each is string => typeof each === 'string' && each !== '');
}

function toolsOf(tools: unknown): ChatTool[] {
  const list: readonly unknown[] = Array.isArray(tools) ? tools : [];
  return list.flatMap((tool) => {
    const made = isObject(tool) && isObject(tool.function) ? tool.function : null;
    return made && typeof made.name === 'string'
      ? [
          {
            name: made.name,
            description: textIn(made.description) ?? '',
            parameters: made.parameters,
          },
        ]
      : [];
  });
}

function toolChoiceOf(choice: unknown): string | null {
  if (typeof choice === 'string') {
    return choice === 'required' ? 'any' : choice;
  }
  const made = isObject(choice) && isObject(choice.function) ? choice.function : null;
  return textIn(made?.name);
}
