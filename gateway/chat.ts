import { attempt, attemptHedged, type WholeCall } from './attempts';
import { answerChat, planChat, writtenTokens, type ChatDeps } from './chatPlan';
import { ownFailure } from './ownFailure';
import { Run } from './Run';
import type { ChatReply } from '../domain/llm/types';
import type { ChatAnswer, ChatAsk } from './types';

/** A chat whose answer comes whole. */
export async function chat(
  deps: ChatDeps,
  ask: ChatAsk,
  signal: AbortSignal | undefined,
): Promise<ChatAnswer> {
  const plan = planChat(deps, ask, { signal, isStreamed: false });
  const run = await Run.open(deps, plan.ask);
  const books = { deps, run, ask, plan };
  const work: WholeCall<ChatReply> = {
    call: ({ provider, key, options }) =>
      provider.chat(plan.shape.call(), key.credentials, options),
    tokensOf: writtenTokens,
  };
  try {
    if (plan.kept !== null) {
      return answerChat(books, plan.kept, null);
    }
    for (;;) {
      const got =
        plan.hedgeAfterMs === null
          ? await attempt(run, await run.place(), work)
          : await attemptHedged(run, work, plan.hedgeAfterMs);
      if (got === null) {
        continue;
      }
      const { place, answer: reply } = got;
      const checked = plan.check(reply);
      if ('json' in checked) {
        return answerChat(books, { reply, json: checked.json }, place);
      }
      run.unfit(place, ownFailure('schemaMismatch', checked.problem));
      plan.shape.repair({ answer: reply.text, problem: checked.problem });
    }
  } catch (error) {
    throw run.failedWith(error);
  }
}
