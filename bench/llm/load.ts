import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '../../domain/errors';
import type { ChatAsk, LlmGateway } from '../../gateway/types';
import type { LoadPlan, Outcome } from './messages';

/** The model that everybody asks for. */
export const benchModel = 'openai/gpt-5-mini';

const TICK_MS = 5;

/** What a script asks: short, and never from the cache. */
export function askOf(tenantId: string, changes: Partial<ChatAsk>): ChatAsk {
  return {
    asker: { tenantId, userId: null, feature: 'script', workflowId: null },
    model: benchModel,
    fallbackModels: [],
    messages: [
      { role: 'system', content: 'You answer customers of Aurora Coffee in two sentences.' },
      { role: 'user', content: 'What makes the autumn blend different from the summer one?' },
    ],
    temperature: null,
    maxTokens: 200,
    tools: [],
    schema: null,
    priority: 'interactive',
    conversation: null,
    consumer: 'buffered',
    deadlineMs: 30_000,
    firstTokenMs: null,
    ...changes,
  };
}

/** Asks at a steady pace, whatever becomes of what was asked before, and waits for all of it. */
export async function runLoad(
  gateway: LlmGateway,
  tenantId: string,
  plan: LoadPlan,
): Promise<Outcome[]> {
  const running: Promise<Outcome>[] = [];
  const from = performance.now();
  while (running.length < plan.requests) {
    const due = Math.ceil(((performance.now() - from) / 1_000) * plan.perSecond);
    while (running.length < Math.min(due, plan.requests)) {
      running.push(askOnce(gateway, tenantId, plan, running.length));
    }
    await wait(TICK_MS);
  }
  return Promise.all(running);
}

async function askOnce(
  gateway: LlmGateway,
  tenantId: string,
  plan: LoadPlan,
  n: number,
): Promise<Outcome> {
  const session = `${plan.prefix}-${n}`;
  const { consumer, deadlineMs, firstTokenMs } = plan;
  const ask = askOf(tenantId, { conversation: session, consumer, deadlineMs, firstTokenMs });
  const startedAt = Date.now();
  try {
    const isAnswered = plan.isStream
      ? await streamed(gateway, ask)
      : (await gateway.chat(ask)).text.length > 0;
    const error = isAnswered ? null : 'nothing was answered';
    return {
      session,
      startedAt,
      endedAt: Date.now(),
      isAnswered,
      error,
      retryAfterSeconds: null,
    };
  } catch (failure) {
    return {
      session,
      startedAt,
      endedAt: Date.now(),
      isAnswered: false,
      error: wordsOf(failure),
      retryAfterSeconds: failure instanceof AppError ? (failure.retryAfterSeconds ?? null) : null,
    };
  }
}

// Whether what a reader sees in the end is what the answer says.
async function streamed(gateway: LlmGateway, ask: ChatAsk): Promise<boolean> {
  let shown = '';
  for await (const event of gateway.stream(ask)) {
    if (event.type === 'text') {
      shown += event.text;
    } else if (event.type === 'reset') {
      shown = '';
    } else {
      return shown.length > 0 && shown === event.answer.text;
    }
  }
  return false;
}

/** What a caller is told, by its kind and its code. */
export function wordsOf(failure: unknown): string {
  if (failure instanceof AppError) {
    return `${failure.kind} ${failure.code}`;
  }
  return failure instanceof Error ? `${failure.name}: ${failure.message}` : String(failure);
}
