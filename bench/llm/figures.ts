import { setImmediate as turn } from 'node:timers/promises';
import OpenAI from 'openai';
import type { ChatMessage } from '../../domain/llm/types';
import type { LlmGateway, Ring, RingKey } from '../../gateway/types';
import type { Knex } from '../../lib/db';
import { acrossTenants } from '../../models/base';
import { applyHealth, type PoolEvent } from '../../models/llm/health';
import { askOf, benchModel, wordsOf } from './load';
import { spreadOf, type Overhead, type Spread } from './messages';

// Until the code of both ways is compiled.
const WARM_UP = 100;

/** How long choosing a key takes, with its place given back at once. In microseconds. */
export function measureChoosing(ring: Ring, tenantId: string, rounds: number): Spread {
  const none: ReadonlySet<string> = new Set();
  const poolIds = ring.poolsOf(tenantId);
  const took: number[] = [];
  for (let n = 0; n < rounds; n += 1) {
    const ask = {
      poolIds,
      model: benchModel,
      conversation: `conversation ${n}`,
      priority: 'interactive' as const,
      withoutKeys: none,
      withoutAccounts: none,
    };
    const from = process.hrtime.bigint();
    const chosen = ring.choose(ask);
    const nanos = Number(process.hrtime.bigint() - from);
    if (!('keyId' in chosen)) {
      throw new Error('no key was chosen');
    }
    chosen.release();
    if (n >= WARM_UP) {
      took.push(nanos / 1_000);
    }
  }
  return spreadOf(took);
}

/**
 * How long after somebody wrote that a key is spent, or well again, the ring of this process knows. In
 * milliseconds.
 */
export async function measureNews(db: Knex, ring: Ring, rounds: number): Promise<Spread> {
  const [key] = ring.snapshot();
  if (key === undefined) {
    throw new Error('the ring has no key');
  }
  const { keyId } = key;
  const isWell = () => ring.snapshot().find((one) => one.keyId === keyId)?.state === 'active';
  const took: number[] = [];
  for (let n = 0; n < 2 * rounds; n += 1) {
    const willBeWell = n % 2 === 1;
    const event = willBeWell ? recovered(key) : spent(key);
    await acrossTenants(db, 'llmRing', (trx) => applyHealth(trx, [event]));
    const from = performance.now();
    while (isWell() !== willBeWell) {
      await turn();
    }
    took.push(performance.now() - from);
  }
  return spreadOf(took);
}

function recovered(key: RingKey): PoolEvent {
  return { ...toldOf(key), type: 'recovered' };
}

function spent(key: RingKey): PoolEvent {
  return {
    ...toldOf(key),
    type: 'failed',
    kind: 'budgetSpent',
    retryAfterMs: null,
    resetsAt: Date.now() + 3_600_000,
    evidence: {},
  };
}

function toldOf({ poolId, accountId, keyId }: RingKey) {
  return {
    poolId,
    subject: { scope: 'key', accountId, keyId, model: null },
    at: Date.now(),
    actor: { kind: 'probe', id: null },
  } as const;
}

/** One at a time, the gateway and the vendor's client alone in turn, to the first text or the end. */
export async function measureOverhead(
  gateway: LlmGateway,
  where: { tenantId: string; baseUrl: string; apiKey: string },
  { rounds, isStream }: { rounds: number; isStream: boolean },
): Promise<Overhead> {
  const client = new OpenAI({
    baseURL: where.baseUrl,
    apiKey: where.apiKey,
    organization: null,
    project: null,
    maxRetries: 0,
  });
  const ask = askOf(where.tenantId, { consumer: isStream ? 'raw' : 'buffered' });
  const viaGateway = isStream ? () => firstOfGateway(gateway, ask) : () => gateway.chat(ask);
  const directly = isStream ? () => firstOfClient(client, ask) : () => wholeOfClient(client, ask);
  const direct: number[] = [];
  const through: number[] = [];
  for (let n = 0; n < rounds + WARM_UP; n += 1) {
    // Whoever comes second finds the machine warmer.
    const isDirectFirst = n % 2 === 0;
    const first = await timed(isDirectFirst ? directly : viaGateway);
    const second = await timed(isDirectFirst ? viaGateway : directly);
    if (n >= WARM_UP) {
      direct.push(isDirectFirst ? first : second);
      through.push(isDirectFirst ? second : first);
    }
  }
  const paired = through.map((ms, n) => ms - (direct[n] ?? 0));
  return { direct: spreadOf(direct), gateway: spreadOf(through), paired: spreadOf(paired) };
}

/** So many at once, each asking again as soon as it is answered. */
export async function measureThroughput(
  gateway: LlmGateway,
  tenantId: string,
  { parallel, seconds }: { parallel: number; seconds: number },
): Promise<{ perSecond: number; failed: string[]; rssMb: number }> {
  let answered = 0;
  const failed: string[] = [];
  const from = performance.now();
  const countsFrom = from + 1_000;
  const endsAt = countsFrom + seconds * 1_000;
  const asking = Array.from({ length: parallel }, async () => {
    while (performance.now() < endsAt) {
      await gateway.chat(askOf(tenantId, {})).then(
        () => (answered += performance.now() >= countsFrom && performance.now() < endsAt ? 1 : 0),
        (error: unknown) => failed.push(wordsOf(error)),
      );
    }
  });
  await Promise.all(asking);
  const rssMb = Math.round(process.memoryUsage().rss / 1024 / 1024);
  return { perSecond: Math.round(answered / seconds), failed, rssMb };
}

// The time that what is asked for says itself, or until it is done.
async function timed(what: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  const at = await what();
  return (typeof at === 'number' ? at : performance.now()) - from;
}

async function firstOfGateway(
  gateway: LlmGateway,
  ask: Parameters<LlmGateway['stream']>[0],
): Promise<number> {
  let first = 0;
  for await (const event of gateway.stream(ask)) {
    first ||= event.type === 'text' ? performance.now() : 0;
  }
  return first;
}

async function firstOfClient(
  client: OpenAI,
  { messages, maxTokens }: { messages: readonly ChatMessage[]; maxTokens: number },
): Promise<number> {
  let first = 0;
  const stream = await client.chat.completions.create({
    model: benchModel,
    messages: messages.map(plain),
    max_tokens: maxTokens,
    stream: true,
  });
  for await (const chunk of stream) {
    first ||= chunk.choices[0]?.delta.content ? performance.now() : 0;
  }
  return first;
}

function wholeOfClient(
  client: OpenAI,
  { messages, maxTokens }: { messages: readonly ChatMessage[]; maxTokens: number },
) {
  return client.chat.completions.create({
    model: benchModel,
    messages: messages.map(plain),
    max_tokens: maxTokens,
  });
}

function plain({ role, content }: ChatMessage): { role: 'system' | 'user'; content: string } {
  return {
    role: role === 'system' ? 'system' : 'user',
    content: typeof content === 'string' ? content : '',
  };
}
