import { creditOf, limitLeftOf, resetAfter, type AccountState, type KeyState } from './accounts';
import { tokensOf } from './answers/answer';
import { isFree, type SandboxModel } from './catalogue';
import { keyLimitSpent, outOfCredits, platformLimit, refusal, type Refusal } from './errors';
import type { OpenRouterPath } from './faults';
import type { ChatRequest } from './readChat';

const MINUTE_MS = 60_000;
const FREE_A_MINUTE = 20;
// Who ever bought ten credits, give or take a fee, may ask more often.
const FREE_A_DAY = { few: 50, many: 1_000, boughtMicros: 9_000_000 };

/** A model that there is not, or not for this. */
export function refuseModel(
  path: OpenRouterPath,
  model: SandboxModel | undefined,
  name: string,
): Refusal | null {
  if (!model) {
    const message = name === '' ? 'No models provided' : `${name} is not a valid model ID`;
    return refusal(400, message, { error_type: 'invalid_request' });
  }
  const kinds: Readonly<Record<string, string>> = { embeddings: 'embedding', images: 'image' };
  return (kinds[path] ?? 'chat') === model.kind
    ? null
    : refusal(404, `No endpoints found for ${name}.`, { error_type: 'not_found' });
}

/** An account or a key that may spend no more, or asks too often for what costs nothing. */
export function refuseMoney(
  key: KeyState,
  model: SandboxModel | undefined,
  now: number,
): Refusal | null {
  if (creditOf(key.account) <= 0) {
    return outOfCredits();
  }
  if (model && isFree(model)) {
    return refuseFree(key.account, now);
  }
  const left = limitLeftOf(key, now);
  return left !== null && left <= 0 ? keyLimitSpent() : null;
}

function refuseFree({ free, boughtMicros }: AccountState, now: number): Refusal | null {
  const day = Math.floor(now / 86_400_000);
  if (day !== free.day) {
    Object.assign(free, { day, today: 0 });
  }
  free.recent = free.recent.filter((at) => at > now - MINUTE_MS);
  const aDay = boughtMicros >= FREE_A_DAY.boughtMicros ? FREE_A_DAY.many : FREE_A_DAY.few;
  if (free.today >= aDay) {
    const resetsAt = resetAfter('daily', now);
    return platformLimit('Rate limit exceeded: free-models-per-day.', aDay, resetsAt);
  }
  const [oldest] = free.recent;
  if (oldest !== undefined && free.recent.length >= FREE_A_MINUTE) {
    const resetsAt = oldest + MINUTE_MS;
    return platformLimit('Rate limit exceeded: free-models-per-min.', FREE_A_MINUTE, resetsAt);
  }
  free.recent.push(now);
  free.today += 1;
  return null;
}

/** More than the model reads. */
export function refuseLength(chat: ChatRequest, model: SandboxModel): Refusal | null {
  const prompt = tokensOf(chat.promptChars);
  const asked = prompt + (chat.maxTokens ?? 0);
  return asked <= model.contextLength
    ? null
    : refusal(
        400,
        `This endpoint's maximum context length is ${model.contextLength} tokens. However, you requested about ${asked} tokens (${prompt} of text input, ${chat.maxTokens ?? 0} in the output). Please reduce the length of either one, or use the "middle-out" transform to compress your prompt automatically.`,
        { error_type: 'context_length_exceeded' },
      );
}
