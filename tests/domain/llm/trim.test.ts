import { canTrim, trimOldest } from '../../../domain/llm/trim';
import type { ChatMessage } from '../../../domain/llm/types';

const long = 'word '.repeat(700);
const system: ChatMessage = { role: 'system', content: 'Be brief.' };
const first: ChatMessage = { role: 'user', content: `first ${long}` };
const answer: ChatMessage = { role: 'assistant', content: `answer ${long}` };
const asks: ChatMessage = {
  role: 'assistant',
  content: null,
  toolCalls: [{ id: 'c1', name: 'look', arguments: '{}' }],
};
const tool: ChatMessage = { role: 'tool', toolCallId: 'c1', content: long };
const second: ChatMessage = { role: 'user', content: 'second' };
const third: ChatMessage = { role: 'user', content: 'third' };

test('the oldest turns go, as many as have to', () => {
  const messages = [system, first, answer, second, third];
  expect(trimOldest(messages, 100)).toEqual([system, second, third]);
  expect(trimOldest(messages, 1)).toEqual([system, third]);
});

test('one turn goes even where all seems to fit: the model said otherwise', () => {
  expect(trimOldest([system, second, third], 1_000_000)).toEqual([system, third]);
});

test('the answer of a tool never stands without its call', () => {
  expect(trimOldest([first, asks, tool, third], 1)).toEqual([third]);
});

test('the last turn stays whole', () => {
  expect(trimOldest([system, first, asks, tool], 1)).toBeNull();
  expect(canTrim([system, first, asks, tool])).toBe(false);
  expect(canTrim([first, third])).toBe(true);
});
