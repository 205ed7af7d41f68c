import { Turns } from '../../../domain/llm/turns';
import type { LlmPriority } from '../../../domain/llm/types';

/** Items named by their owner: `a1` is of `a`. */
function waitingIn(turns: Turns<string>, priority: LlmPriority, ...items: string[]): void {
  for (const item of items) {
    turns.add(item, { priority, ownerId: item.slice(0, 1) });
  }
}

/** Whoever takes when there is so much of it. */
function takers(turns: Turns<string>, room: number, isFit: (item: string) => boolean = () => true) {
  const taken: string[] = [];
  turns.offer((item) => {
    const takes = isFit(item) && taken.length < room;
    if (takes) {
      taken.push(item);
    }
    return takes;
  });
  return taken;
}

test('owners take turns, and what is of one goes in its order', () => {
  const turns = new Turns<string>();
  waitingIn(turns, 'interactive', 'a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'c2');
  expect(takers(turns, 100)).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3', 'a4']);
  expect(turns.size).toBe(0);
});

test('turns go on from one offer to the next', () => {
  const turns = new Turns<string>();
  waitingIn(turns, 'interactive', 'a1', 'a2', 'a3');
  expect(takers(turns, 1)).toEqual(['a1']);
  waitingIn(turns, 'interactive', 'b1', 'b2');
  const order = [1, 1, 1, 1].flatMap((room) => takers(turns, room));
  expect(order).toEqual(['a2', 'b1', 'a3', 'b2']);
});

test('whoever comes back is behind those who wait', () => {
  const turns = new Turns<string>();
  waitingIn(turns, 'interactive', 'a1', 'b1', 'b2');
  expect(takers(turns, 1)).toEqual(['a1']);
  waitingIn(turns, 'interactive', 'a2');
  expect(takers(turns, 2)).toEqual(['b1', 'a2']);
});

test('a higher class goes first, whoever waits in a lower one', () => {
  const turns = new Turns<string>();
  waitingIn(turns, 'bulk', 'a1', 'b1');
  waitingIn(turns, 'transactional', 'a2');
  waitingIn(turns, 'interactive', 'c1', 'c2');
  expect(takers(turns, 100)).toEqual(['c1', 'c2', 'a2', 'a1', 'b1']);
});

test('what nobody can serve holds up nothing behind it, and keeps its turn', () => {
  const turns = new Turns<string>();
  waitingIn(turns, 'interactive', 'a1', 'a2', 'b1');
  expect(takers(turns, 1, (item) => item !== 'a1')).toEqual(['a2']);
  expect(takers(turns, 1, (item) => item !== 'a1')).toEqual(['b1']);
  waitingIn(turns, 'interactive', 'b2');
  expect(takers(turns, 1)).toEqual(['a1']);
});

test('each is offered to once, and what is gone is not', () => {
  const turns = new Turns<string>();
  waitingIn(turns, 'interactive', 'a1', 'a2', 'b1');
  turns.delete('a2', { priority: 'interactive', ownerId: 'a' });
  turns.delete('a2', { priority: 'interactive', ownerId: 'a' });
  const offered: string[] = [];
  turns.offer((item) => {
    offered.push(item);
    return item === 'b1';
  });
  expect(offered).toEqual(['a1', 'b1']);
  expect(turns.size).toBe(1);
});
