import { tokensOfText } from '../domain/llm/estimate';
import { LlmAttemptError } from '../domain/llm/failures';
import type { ChatPiece, ChatReply } from '../domain/llm/types';
import { answerChat, planChat, writtenTokens, type ChatDeps, type ChatPlan } from './chatPlan';
import { ownFailure } from './ownFailure';
import { Run, type Place } from './Run';
import type { ChatAsk, ChatEvent } from './types';

/**
 * A chat whose answer comes as it is written. Where it breaks off it is asked for anew as a whole,
 * never continued: for whoever sees the text only in the end nothing of it is told, whoever can take
 * it back is told to, and for whoever cannot it ends with the error.
 */
export async function* stream(
  deps: ChatDeps,
  ask: ChatAsk,
  signal: AbortSignal | undefined,
): AsyncGenerator<ChatEvent, void, undefined> {
  const plan = planChat(deps, ask, { signal, isStreamed: true });
  const run = await Run.open(deps, plan.ask);
  const books = { deps, run, ask, plan };
  const isHeld = ask.consumer === 'buffered';
  try {
    if (plan.kept !== null) {
      const answer = answerChat(books, plan.kept, null);
      yield { type: 'text', text: answer.text };
      yield { type: 'done', answer };
      return;
    }
    for (;;) {
      const reading = new Reading(run, await run.place(), plan);
      try {
        for (let text = await reading.next(); text !== null; text = await reading.next()) {
          if (!isHeld) {
            run.isShown = ask.consumer === 'raw';
            yield { type: 'text', text };
          }
        }
      } finally {
        await reading.leave();
      }
      const { reply, place } = reading;
      if (reply !== null) {
        const checked = plan.check(reply);
        if ('json' in checked) {
          reading.keepTime();
          const answer = answerChat(books, { reply, json: checked.json }, place);
          if (isHeld && answer.text !== '') {
            yield { type: 'text', text: answer.text };
          }
          yield { type: 'done', answer };
          return;
        }
        run.unfit(place, ownFailure('schemaMismatch', checked.problem));
        plan.shape.repair({ answer: reply.text, problem: checked.problem });
      }
      if (ask.consumer === 'resettable' && reading.text !== '') {
        yield { type: 'reset' };
      }
    }
  } catch (error) {
    throw run.failedWith(error);
  } finally {
    run.close();
  }
}

/** One attempt of an answer that streams, from its first piece to whatever end it comes to. */
class Reading {
  reply: ChatReply | null = null;
  text = '';

  private readonly pieces: AsyncIterator<ChatPiece>;
  private firstTokenMs: number | null = null;
  private isOver = false;

  constructor(
    private readonly run: Run,
    readonly place: Place,
    private readonly plan: ChatPlan,
  ) {
    const { provider, key, options } = place;
    this.pieces = provider
      .stream(plan.shape.call(), key.credentials, options)
      [Symbol.asyncIterator]();
  }

  /** The next text; null when it is whole, or broke off, which the run knows then. */
  async next(): Promise<string | null> {
    if (this.isOver) {
      return null;
    }
    try {
      const { value, done } = await this.pieces.next();
      if (done === true) {
        throw new LlmAttemptError(ownFailure('brokenAnswer', 'the answer has no end'));
      }
      if (value.type === 'end') {
        this.over(value.reply);
        return null;
      }
      this.firstTokenMs ??= Date.now() - this.place.startedAt;
      this.text += value.text;
      return value.text;
    } catch (error) {
      this.fail(error);
      return null;
    }
  }

  /** Where nobody reads on: calls it off, and hears what the vendor had begun. */
  async leave(): Promise<void> {
    if (!this.isOver) {
      this.run.abort();
      while ((await this.next()) !== null) {
        // What was on its way already.
      }
    }
  }

  keepTime(): void {
    if (this.firstTokenMs !== null) {
      this.run.tokenCame(this.place, this.firstTokenMs);
    }
  }

  private over(reply: ChatReply) {
    this.isOver = true;
    this.reply = reply;
    this.run.answered(this.place, reply, {
      firstTokenMs: this.firstTokenMs,
      writtenTokens: reply.usage.completionTokens > 0 ? 0 : writtenTokens(reply),
    });
  }

  private fail(error: unknown) {
    this.isOver = true;
    this.run.failedAt(this.place, error, {
      firstTokenMs: this.firstTokenMs,
      writtenTokens: tokensOfText(this.text),
    });
  }
}
