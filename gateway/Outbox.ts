import type { ChatEvent } from './types';

// From so many on the texts of what waits are put together.
const mostApart = 64;

/**
 * What is told to whoever reads a stream, kept until it is taken. Whoever tells waits for nobody: a
 * reader that is slow, or gone, is no reason to hold a key.
 */
export class Outbox {
  private readonly waiting: ChatEvent[] = [];
  private end: 'whole' | { readonly error: unknown } | null = null;
  private wake = () => {};

  tell(event: ChatEvent): void {
    const last = this.waiting.at(-1);
    if (this.waiting.length >= mostApart && event.type === 'text' && last?.type === 'text') {
      this.waiting[this.waiting.length - 1] = { type: 'text', text: last.text + event.text };
    } else {
      this.waiting.push(event);
    }
    this.wake();
  }

  /** All was told. */
  whole(): void {
    this.end = 'whole';
    this.wake();
  }

  /** Nothing more is told, for this reason. */
  broken(error: unknown): void {
    this.end = { error };
    this.wake();
  }

  /** What was told, in order, as it is told; then it throws what it was broken by. For one reader. */
  async *taken(): AsyncGenerator<ChatEvent, void, undefined> {
    for (;;) {
      const event = this.waiting.shift();
      if (event !== undefined) {
        yield event;
      } else if (this.end === null) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      } else if (this.end === 'whole') {
        return;
      } else {
        throw this.end.error;
      }
    }
  }
}
