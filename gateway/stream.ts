import { tokensOfText } from '../domain/llm/estimate';
import { LlmAttemptError } from '../domain/llm/failures';
import type { ChatReply } from '../domain/llm/types';
import { answerChat, planChat, writtenTokens, type ChatDeps, type ChatPlan } from './chatPlan';
import { Outbox } from './Outbox';
import { ownFailure } from './ownFailure';
import { Run } from './Run';
import type { Place } from './runTypes';
import type { ChatAnswer, ChatAsk, ChatEvent } from './types';

/**
 * A chat whose answer comes as it is written. Where it breaks off it is asked for anew as a whole,
 * never continued: for whoever sees the text only in the end nothing of it is told, whoever can take
 * it back is told to, and for whoever cannot it ends with the error. It is carried out however slowly
 * it is read; whoever stops reading ends it.
 */
export async function* stream(
  deps: ChatDeps,
  ask: ChatAsk,
  signal: AbortSignal | undefined,
): AsyncGenerator<ChatEvent, void, undefined> {
  const plan = planChat(deps, ask, { signal, isStreamed: true });
  const run = await Run.open(deps, plan.ask);
  const told = new Outbox();
  const work = carryOut({ deps, run, ask, plan }, told);
  try {
    yield* told.taken();
  } finally {
    run.leave();
    await work;
  }
}

interface Books {
  readonly deps: ChatDeps;
  readonly run: Run;
  readonly ask: ChatAsk;
  readonly plan: ChatPlan;
}

/** Never rejects: whatever it ends with is told. */
async function carryOut(books: Books, told: Outbox): Promise<void> {
  try {
    const answer = await answerOf(books, told);
    const isHeld = books.ask.consumer === 'buffered' || books.plan.kept !== null;
    if (isHeld && answer.text !== '') {
      told.tell({ type: 'text', text: answer.text });
    }
    told.tell({ type: 'done', answer });
    told.whole();
  } catch (error) {
    told.broken(books.run.failedWith(error));
  }
}

async function answerOf(books: Books, told: Outbox): Promise<ChatAnswer> {
  const { run, ask, plan } = books;
  if (plan.kept !== null) {
    return answerChat(books, plan.kept, null);
  }
  for (;;) {
    const place = await run.place();
    const { reply, text, firstTokenMs } = await readAttempt(run, place, plan, (piece) => {
      if (ask.consumer !== 'buffered') {
        run.isShown = ask.consumer === 'raw';
        told.tell({ type: 'text', text: piece });
      }
    });
    if (reply !== null) {
      const checked = plan.check(reply);
      if ('json' in checked) {
        if (firstTokenMs !== null) {
          run.tokenCame(place, firstTokenMs);
        }
        return answerChat(books, { reply, json: checked.json }, place);
      }
      run.unfit(place, ownFailure('schemaMismatch', checked.problem));
      plan.shape.repair({ answer: reply.text, problem: checked.problem });
    }
    if (ask.consumer === 'resettable' && text !== '') {
      told.tell({ type: 'reset' });
    }
  }
}

/** What came of one attempt: all of it, or what there was when it broke off, which the run knows then. */
interface AttemptRead {
  readonly reply: ChatReply | null;
  readonly text: string;
  readonly firstTokenMs: number | null;
}

async function readAttempt(
  run: Run,
  place: Place,
  { shape }: ChatPlan,
  tell: (text: string) => void,
): Promise<AttemptRead> {
  let text = '';
  let firstTokenMs: number | null = null;
  try {
    const reply = await readToEnd(place, shape.call(), (piece) => {
      firstTokenMs ??= Date.now() - place.startedAt;
      text += piece;
      tell(piece);
    });
    const isTold = reply.usage.completionTokens > 0;
    run.answered(place, reply, {
      firstTokenMs,
      writtenTokens: isTold ? 0 : writtenTokens(reply),
    });
    return { reply, text, firstTokenMs };
  } catch (error) {
    run.failedAt(place, error, { firstTokenMs, writtenTokens: tokensOfText(text) });
    return { reply: null, text, firstTokenMs };
  }
}

/** @throws LlmAttemptError where it breaks off */
async function readToEnd(
  { provider, key, options }: Place,
  call: ReturnType<ChatPlan['shape']['call']>,
  tell: (text: string) => void,
): Promise<ChatReply> {
  for await (const piece of provider.stream(call, key.credentials, options)) {
    if (piece.type === 'end') {
      return piece.reply;
    }
    tell(piece.text);
  }
  throw new LlmAttemptError(ownFailure('brokenAnswer', 'the answer has no end'));
}
