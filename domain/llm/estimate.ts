import { utf8Length } from '../messages/utf8Length';
import type { ChatCall, ChatMessage, ModelPrices, TokenUsage } from './types';

// Bytes, not characters: a character of Chinese is a token or more, and three bytes.
const bytesPerToken = 3.5;
const tokensPerImage = 1_500;
const tokensPerMessage = 4;
const million = 1_000_000;

/** What a model is taken to cost that no price is known of: more than nearly all do. */
export const unknownPrices: ModelPrices = {
  promptMicrosPerMillion: 15_000_000,
  completionMicrosPerMillion: 75_000_000,
  cachedMicrosPerMillion: 15_000_000,
  requestMicros: 0,
  imageMicros: 100_000,
};

/** About how many tokens a text has; rather more than it does. */
export function tokensOfText(text: string): number {
  return tokensOfBytes(utf8Length(text));
}

/** The same of a text of so many bytes. */
export function tokensOfBytes(bytes: number): number {
  return Math.ceil(bytes / bytesPerToken);
}

/** About how many tokens the model reads for this call. */
export function promptTokens(call: Pick<ChatCall, 'messages' | 'tools' | 'schema'>): number {
  const { messages, tools, schema } = call;
  let tokens = 0;
  for (const message of messages) {
    tokens += tokensOfMessage(message);
  }
  for (const tool of tools) {
    tokens += tokensOfText(tool.name + tool.description + JSON.stringify(tool.parameters));
  }
  return schema === null ? tokens : tokens + tokensOfText(JSON.stringify(schema.schema));
}

export function tokensOfMessage(message: ChatMessage): number {
  let tokens = tokensPerMessage;
  if (typeof message.content === 'string') {
    tokens += tokensOfText(message.content);
  } else {
    for (const part of message.content ?? []) {
      tokens += part.type === 'text' ? tokensOfText(part.text) : tokensPerImage;
    }
  }
  if (message.role === 'assistant') {
    for (const call of message.toolCalls ?? []) {
      tokens += tokensOfText(call.name + call.arguments);
    }
  }
  return tokens;
}

/** What so many tokens cost, rounded up: no call is reserved or billed at less than it costs. */
export function costOfTokens(
  usage: Pick<TokenUsage, 'promptTokens' | 'completionTokens' | 'cachedTokens'>,
  prices: ModelPrices,
): number {
  const cached = Math.min(usage.cachedTokens, usage.promptTokens);
  const micros =
    ((usage.promptTokens - cached) * prices.promptMicrosPerMillion +
      cached * prices.cachedMicrosPerMillion +
      usage.completionTokens * prices.completionMicrosPerMillion) /
    million;
  return Math.ceil(micros) + prices.requestMicros;
}
