import { tokensOfMessage } from './estimate';
import type { ChatMessage } from './types';

/**
 * The messages without the oldest ones, so that what is left is about so many tokens at most; null
 * where nothing can go. What the system says stays, and so does the last turn: an answer of a tool
 * never stands without the call it answers.
 */
export function trimOldest(
  messages: readonly ChatMessage[],
  maxTokens: number,
): readonly ChatMessage[] | null {
  const turns = turnsOf(messages);
  let tokens = messages.reduce((sum, message) => sum + tokensOfMessage(message), 0);
  let dropped = 0;
  while (dropped < turns.length - 1 && (dropped === 0 || tokens > maxTokens)) {
    for (const message of turns[dropped] ?? []) {
      tokens -= tokensOfMessage(message);
    }
    dropped += 1;
  }
  if (dropped === 0) {
    return null;
  }
  const gone = new Set(turns.slice(0, dropped).flat());
  return messages.filter((message) => !gone.has(message));
}

/** Whether there is an older turn that can be left out. */
export function canTrim(messages: readonly ChatMessage[]): boolean {
  return turnsOf(messages).length > 1;
}

// A turn begins where the user speaks; what comes before the first of them is one as well.
function turnsOf(messages: readonly ChatMessage[]): ChatMessage[][] {
  const turns: ChatMessage[][] = [];
  for (const message of messages) {
    if (message.role === 'system') {
      continue;
    }
    const turn = turns.at(-1);
    if (turn === undefined || message.role === 'user') {
      turns.push([message]);
    } else {
      turn.push(message);
    }
  }
  return turns;
}
