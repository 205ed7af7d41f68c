import type { ChatPiece, ChatReply } from '../../domain/llm/types';
import type { CallClock } from './clock';
import { EventReader } from './events';
import { isError, saidIn, Sign } from './exchange';
import { fieldsOf, isFields, listOf, parsed } from './fields';
import { choiceOf, contentOf, type ReplyParts } from './replies';
import type { Body } from './requests';

/** Reads the chunks of one stream. */
export class StreamedReply {
  private readonly events = new EventReader();
  private hasBegun = false;

  constructor(
    private readonly parts: ReplyParts,
    private readonly headers: Headers,
    private readonly model: string,
    private readonly clock: CallClock,
  ) {}

  /** What came with these bytes, one after the other: what is before an error is not lost by it. */
  *take(bytes: Uint8Array): Generator<ChatPiece, void, undefined> {
    for (const event of this.read(bytes)) {
      if (event.startsWith('[DONE]')) {
        yield { type: 'end', reply: this.end() };
        return;
      }
      const text = this.takeChunk(parsed(event));
      if (text !== '') {
        yield { type: 'text', text };
      }
    }
  }

  /** What comes next is waited for: silence counts once a token came. */
  waits(): void {
    if (this.hasBegun) {
      this.clock.waits();
    }
  }

  private read(bytes: Uint8Array): string[] {
    try {
      return this.events.take(bytes);
    } catch (error) {
      throw error instanceof RangeError ? this.unreadable() : error;
    }
  }

  private takeChunk(chunk: unknown): string {
    if (!isFields(chunk)) {
      throw this.unreadable();
    }
    this.parts.takeHead(chunk);
    const { delta, finish_reason: finish } = choiceOf(chunk);
    if (isError(chunk['error']) || finish === 'error') {
      throw new Sign(saidIn(this.headers, chunk, this.parts.hasContent));
    }
    const part = fieldsOf(delta);
    const text = this.parts.take(part);
    this.parts.takeFinish(finish);
    this.clock.came();
    if (!this.hasBegun && (this.parts.hasBegun || thinks(part))) {
      this.hasBegun = true;
      this.clock.begun();
    }
    return text;
  }

  private end(): ChatReply {
    if (!this.parts.isFinished && this.parts.hasContent) {
      throw this.unreadable();
    }
    const reply = this.parts.end(this.model);
    if (typeof reply === 'string') {
      throw new Sign({ is: reply });
    }
    return reply;
  }

  private unreadable(): Sign {
    const hadBegun = this.parts.hasContent;
    return new Sign({ is: 'unreadable', what: 'the stream cannot be read', hadBegun });
  }
}

// A model that thinks aloud is at work, though nothing of it is shown.
function thinks(delta: Body): boolean {
  return (
    contentOf(delta['reasoning']) !== '' ||
    contentOf(delta['reasoning_content']) !== '' ||
    listOf(delta['reasoning_details']).length > 0
  );
}
