import { invalidField } from '../domain/errors';
import { tokensOfText } from '../domain/llm/estimate';
import type { ChatReply } from '../domain/llm/types';
import { ChatShape } from './ChatShape';
import { modelsFor, mostCost } from './models';
import type { KeptReply, ReplyCache } from './ReplyCache';
import type { Run } from './Run';
import type { Place, RunAsk, RunDeps } from './runTypes';
import type { AnswerChecks, Checked } from './schemas';
import type { ChatAnswer, ChatAsk } from './types';

/** What chats are carried out with. */
export interface ChatDeps extends RunDeps {
  readonly checks: AnswerChecks;
  readonly cache: ReplyCache;
}

/** A chat that may be carried out: what it asks, of whom, and how its answer is looked at. */
export interface ChatPlan {
  readonly ask: RunAsk;
  readonly shape: ChatShape;
  readonly hedgeAfterMs: number | null;
  readonly cacheKey: string | null;
  readonly kept: KeptReply | null;
  readonly check: (reply: ChatReply) => Checked;
}

/** @throws AppError invalid for what no model could answer */
export function planChat(
  deps: ChatDeps,
  ask: ChatAsk,
  { signal, isStreamed }: { signal: AbortSignal | undefined; isStreamed: boolean },
): ChatPlan {
  const { catalogue, cache, checks } = deps;
  const { tenantId } = ask.asker;
  if (ask.messages.length === 0) {
    throw invalidField('messages', 'required', 'There must be a message.');
  }
  const models = modelsFor(catalogue, {
    tenantId,
    model: ask.model,
    fallbacks: ask.fallbackModels,
  });
  const check = ask.schema === null ? null : checks.of(ask.schema);
  const cacheKey = cache.keyOf(ask, models);
  const kept = cache.get(cacheKey);
  const shape = new ChatShape(ask, catalogue);
  return {
    shape,
    hedgeAfterMs: catalogue.settingsOf(tenantId).hedgeAfterMs,
    cacheKey,
    kept,
    ask: {
      asker: ask.asker,
      kind: 'chat',
      models,
      priority: ask.priority,
      conversation: ask.conversation,
      deadlineMs: ask.deadlineMs,
      firstTokenMs: ask.firstTokenMs,
      isStreamed,
      estimateMicros: kept === null ? mostCost(catalogue, models, shape.size()) : 0,
      field: 'messages',
      shape,
      signal,
    },
    check: (reply) =>
      check === null || reply.toolCalls.length > 0 ? { json: null } : check(reply.text),
  };
}

/** The answer to a chat, and its end in the books. */
export function answerChat(
  { deps, run, ask, plan }: { deps: ChatDeps; run: Run; ask: ChatAsk; plan: ChatPlan },
  { reply, json }: KeptReply,
  place: Place | null,
): ChatAnswer {
  const { text, toolCalls, finishReason, usage, model } = reply;
  if (place === null) {
    run.cached(model);
  } else {
    // What another model answered, or this one to less, is no answer to what was asked.
    if (place.model === plan.ask.models[0] && !plan.shape.isLess) {
      deps.cache.set(plan.cacheKey, { reply, json });
    }
    run.succeeded(place, model);
  }
  keepPrompt(deps, run.callId, ask, reply);
  return {
    callId: run.callId,
    model,
    text,
    json,
    toolCalls,
    finishReason,
    usage: place === null ? { ...usage, costMicros: 0 } : usage,
    costMicros: run.costMicros,
    attempts: run.attemptCount,
    account: place?.key.accountName ?? null,
  };
}

/** About how many tokens of an answer were written. */
export function writtenTokens({ text, toolCalls }: ChatReply): number {
  return toolCalls.reduce(
    (tokens, call) => tokens + tokensOfText(call.name + call.arguments),
    tokensOfText(text),
  );
}

function keepPrompt(
  { catalogue, ledger }: ChatDeps,
  callId: string,
  ask: ChatAsk,
  reply: ChatReply,
) {
  const { tenantId } = ask.asker;
  if (!catalogue.settingsOf(tenantId).keepsPrompts) {
    return;
  }
  const { text, toolCalls, finishReason } = reply;
  const answer = { text, toolCalls, finishReason };
  ledger.keepPrompt({
    callId,
    tenantId,
    content: JSON.stringify({
      messages: ask.messages,
      tools: ask.tools,
      schema: ask.schema,
      answer,
    }),
  });
}
