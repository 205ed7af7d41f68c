import { createLlm, type Llm, type LlmDeps } from '../../gateway';
import type { ChatAnswer, ChatAsk, ChatEvent } from '../../gateway/types';
import { AppError } from '../../domain/errors';
import { createLogger } from '../../lib/logger';
import type { HealthSubject } from '../../domain/llm/health';
import { acrossTenants } from '../../models/base';
import { applyHealth } from '../../models/llm/health';
import { saveModels, type OfferedModel } from '../../models/llm/models';
import {
  DEMO_OPENROUTER_ACCOUNTS,
  OPENROUTER_PATH,
  startSandbox,
  type OpenRouterCall,
  type OpenRouterFault,
  type Sandbox,
} from '../../sandbox';
import { testSealing } from './accounts';
import { until } from './conditions';
import { insertLlmAccount, insertLlmKey } from './llm';
import { createTestDatabase, type TestDatabase } from './postgres';
import { insertTenant } from './records';

export const quietLogger = createLogger({ name: 'test', level: 'silent' });

/** A vendor of models in the sandbox, and a database that knows some models; one a test file. */
export interface LlmGround {
  readonly sandbox: Sandbox;
  readonly database: Pick<TestDatabase, 'db' | 'app'>;
  /** A process: a ring, a ledger and a gateway of its own. Closed with the ground at the latest. */
  process(options?: Partial<Pick<LlmDeps, 'idleMs' | 'logger' | 'tell' | 'metrics'>>): Promise<Llm>;
  /** A tenant with keys of its own, of the accounts that are named; all of the sandbox's by default. */
  tenant(
    accounts?: readonly string[],
    options?: { baseUrls?: Readonly<Record<string, string>>; settings?: object },
  ): Promise<LlmTenant>;
  faults(...rules: OpenRouterFault[]): Promise<void>;
  /** Lets the time of all that cools for the tenant be over, for this process too. */
  pass(llm: Llm, tenant: LlmTenant): Promise<void>;
  /** Writes down what a probe writes that found the subject well. */
  probed(llm: Llm, tenant: LlmTenant, subject: HealthSubject): Promise<void>;
  close(): Promise<void>;
}

/** A tenant's pool: what its keys are, how they stand, what was called with them. */
export interface LlmTenant {
  readonly id: string;
  /** Ids by the sandbox's names: `north`, `north-1`. */
  readonly ids: Readonly<Record<string, string>>;
  ask(changes?: Partial<ChatAsk>): ChatAsk;
  /** Calls of models, oldest first; `key` is the sandbox's label. */
  calls(): Promise<OpenRouterCall[]>;
  /** What is not well, as it is written down: `key north-1`, `account north`, `model x` … */
  health(): Promise<Record<string, { state: string; reason: string; until: Date | null }>>;
  /** The record of the newest call, once it is settled. */
  record(callId?: string): Promise<Record<string, unknown>>;
}

export const models = {
  main: 'openai/gpt-5-mini',
  other: 'anthropic/claude-haiku-4.5',
  large: 'google/gemini-2.5-flash',
  free: 'meta-llama/llama-3.3-70b-instruct:free',
  embedding: 'openai/text-embedding-3-small',
  image: 'black-forest-labs/flux.2-pro',
} as const;

export async function openLlmGround(): Promise<LlmGround> {
  const [sandbox, database] = await Promise.all([
    startSandbox({ port: 0, logger: quietLogger }),
    createTestDatabase(),
  ]);
  const ground = await openLlmGroundOn({ sandbox, database });
  return {
    ...ground,
    async close() {
      await ground.close();
      await Promise.all([sandbox.close(), database.drop()]);
    },
  };
}

/** The same over a sandbox and a database that are there, which closing leaves alone. */
export async function openLlmGroundOn({
  sandbox,
  database,
  tell = { stateChanged: () => undefined, wanted: () => undefined },
}: {
  sandbox: Sandbox;
  database: Pick<TestDatabase, 'db' | 'app'>;
  tell?: LlmDeps['tell'];
}): Promise<LlmGround> {
  const accounts = DEMO_OPENROUTER_ACCOUNTS;
  const open: Llm[] = [];
  await acrossTenants(database.app, 'llmRing', (trx) =>
    saveModels(trx, offered, { preferred: [], isComplete: true }),
  );

  return {
    sandbox,
    database,

    async process(options = {}) {
      const llm = await createLlm({
        db: database.app,
        sealing: testSealing,
        logger: quietLogger,
        metrics: null,
        onlyPublic: false,
        tell,
        ...options,
      });
      open.push(llm);
      return llm;
    },

    async tenant(names = accounts.map(({ id }) => id), { baseUrls = {}, settings = {} } = {}) {
      const id = await insertTenant(database.db);
      const ids: Record<string, string> = {};
      await database.db('llm_settings').insert({ tenant_id: id, key_source: 'own', ...settings });
      for (const account of accounts.filter((each) => names.includes(each.id))) {
        const accountId = await insertLlmAccount(database.db, {
          baseUrl: baseUrls[account.id] ?? `${sandbox.url}${OPENROUTER_PATH}`,
          tenantId: id,
          name: account.id,
          ...(account.managementKey === undefined ? {} : { managementKey: account.managementKey }),
        });
        ids[account.id] = accountId;
        for (const { secret, label } of account.keys) {
          ids[label] = await insertLlmKey(database.db, { accountId, tenantId: id, secret, label });
        }
      }
      return tenantOf({ sandbox, database }, id, ids);
    },

    async faults(...rules) {
      await put(sandbox, 'faults', rules);
    },

    async pass(llm, { id }) {
      await llm.ring.flush();
      const rows: { scope: string; account_id: string | null; model: string | null }[] =
        await database
          .db('llm_health')
          .where({ tenant_id: id, state: 'cooling' })
          .update({ until: database.db.raw("clock_timestamp() - interval '1 second'") })
          .returning(['scope', 'account_id', 'model']);
      const pairs = rows.filter(({ scope }) => scope === 'accountModel');
      await until(
        'the process knows',
        () =>
          Object.values(models).every((model) => llm.ring.modelDown(id, model) === null) &&
          llm.ring
            .snapshot()
            .every(({ poolId, state, until: ends }) =>
              poolId === id && state === 'cooling' ? (ends ?? 0) < Date.now() : true,
            ) &&
          // What an account does not serve stands beside its keys.
          pairs.every(({ account_id, model }) =>
            isTried(llm, id, {
              accountId: account_id,
              model: model === ':free' ? models.free : model,
            }),
          ),
      );
    },

    async probed(llm, { id }, subject) {
      await llm.ring.flush();
      await acrossTenants(database.app, 'llmRing', (trx) =>
        applyHealth(trx, [
          {
            type: 'recovered',
            poolId: id,
            subject,
            at: Date.now(),
            actor: { kind: 'probe', id: null },
          },
        ]),
      );
      await until('the process knows', () =>
        llm.ring
          .snapshot()
          .every(
            ({ poolId, scope, keyId, accountId }) =>
              poolId !== id ||
              scope !== subject.scope ||
              (keyId !== subject.keyId && accountId !== subject.accountId),
          ),
      );
    },

    async close() {
      await Promise.all(open.map((llm) => llm.close()));
    },
  };
}

// Whether the account may be asked for the model, as far as time goes.
function isTried(
  llm: Llm,
  poolId: string,
  { accountId, model }: { accountId: string | null; model: string | null },
): boolean {
  const others = llm.ring.snapshot().filter((key) => key.accountId !== accountId);
  const chosen = llm.ring.choose({
    poolIds: [poolId],
    model: model ?? '',
    conversation: null,
    priority: 'interactive',
    withoutKeys: new Set(others.map(({ keyId }) => keyId)),
    withoutAccounts: new Set(),
  });
  if ('release' in chosen) {
    chosen.release();
    return true;
  }
  return chosen.skipped.every(({ why }) => why !== 'cooling');
}

/** Waits until a process knows a tenant's keys. */
export async function knows(llm: Llm, tenant: LlmTenant): Promise<void> {
  const keys = Object.keys(tenant.ids).filter((name) => name.includes('-')).length;
  await until('the ring has the keys', () =>
    llm.ring.poolsOf(tenant.id).includes(tenant.id) &&
    llm.ring.snapshot().filter(({ poolId }) => poolId === tenant.id).length === keys
      ? true
      : null,
  );
}

/** What a caller got of a request: the answer's model and attempts, or the error it is told. */
export async function told(asked: Promise<ChatAnswer>): Promise<Record<string, unknown>> {
  try {
    const { model, attempts, text } = await asked;
    return { model, attempts, hasText: text !== '' };
  } catch (error) {
    return errorTold(error);
  }
}

export function errorTold(error: unknown): Record<string, unknown> {
  if (!(error instanceof AppError)) {
    throw error;
  }
  const { kind, code, retryAfterSeconds, details, problems } = error;
  const [problem] = problems;
  return {
    kind,
    code,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(details['code'] === undefined ? {} : { because: details['code'] }),
    ...(problem === undefined ? {} : { field: `${problem.path} ${problem.code}` }),
  };
}

/** Upstream calls as words: key, model where it is not the main one, and status or how it ended. */
export function shown(calls: readonly OpenRouterCall[]): string[] {
  return calls.map(({ key, model, status, end }) =>
    [key, model === models.main ? null : model, end === 'answered' ? status : end]
      .filter((part) => part !== null)
      .join(' '),
  );
}

/** All events of a stream, and the error it ended with, if any. */
export async function read(
  stream: AsyncIterable<ChatEvent>,
): Promise<{ events: ChatEvent[]; text: string; answer: ChatAnswer | null; error: unknown }> {
  const events: ChatEvent[] = [];
  let text = '';
  let answer: ChatAnswer | null = null;
  let error: unknown = null;
  try {
    for await (const event of stream) {
      events.push(event);
      text = event.type === 'reset' ? '' : event.type === 'text' ? text + event.text : text;
      answer = event.type === 'done' ? event.answer : answer;
    }
  } catch (thrown) {
    error = thrown;
  }
  return { events, text, answer, error };
}

function tenantOf(
  { sandbox, database: { db } }: Pick<LlmGround, 'sandbox' | 'database'>,
  id: string,
  ids: Readonly<Record<string, string>>,
): LlmTenant {
  const nameOf = (subject: string | null) =>
    Object.keys(ids).find((name) => ids[name] === subject) ?? subject;
  return {
    id,
    ids,
    ask: (changes = {}) => ({
      asker: { tenantId: id, userId: null, feature: 'script', workflowId: null },
      model: models.main,
      fallbackModels: [],
      messages: [{ role: 'user', content: 'Write a subject line for a sale of lamps.' }],
      temperature: null,
      maxTokens: 200,
      tools: [],
      schema: null,
      priority: 'interactive',
      conversation: null,
      consumer: 'buffered',
      deadlineMs: 20_000,
      firstTokenMs: null,
      ...changes,
    }),

    async calls() {
      const answer = await fetch(`${sandbox.url}/api/openrouter/calls?limit=100000`);
      const { items }: { items: OpenRouterCall[] } = JSON.parse(await answer.text());
      return items.filter(({ user }) => user === id);
    },

    async health() {
      const rows: {
        scope: string;
        account_id: string | null;
        key_id: string | null;
        model: string | null;
        state: string;
        reason: string;
        until: Date | null;
      }[] = await db('llm_health').where({ tenant_id: id });
      return Object.fromEntries(
        rows.map(({ scope, account_id, key_id, model, state, reason, until: ends }) => [
          [scope, nameOf(key_id ?? account_id), model].filter((part) => part !== null).join(' '),
          { state, reason, until: ends },
        ]),
      );
    },

    record: (callId) =>
      until('the call is settled', async () => {
        const rows: Record<string, unknown>[] = await db('llm_calls')
          .where({ tenant_id: id, ...(callId === undefined ? {} : { id: callId }) })
          .orderBy('id', 'desc')
          .limit(1);
        return rows[0]?.['outcome'] === 'open' ? null : rows[0];
      }),
  };
}

async function put(sandbox: Sandbox, path: string, body: unknown): Promise<void> {
  const answer = await fetch(`${sandbox.url}/api/openrouter/${path}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) {
    throw new Error(`the sandbox refused: ${await answer.text()}`);
  }
}

function offer(
  id: string,
  contextTokens: number,
  values: Partial<OfferedModel> = {},
): OfferedModel {
  return {
    id,
    name: id,
    contextTokens,
    maxOutputTokens: null,
    inputModalities: ['text'],
    outputModalities: ['text'],
    parameters: ['temperature', 'tools', 'response_format'],
    promptMicrosPerMillion: 250_000,
    completionMicrosPerMillion: 2_000_000,
    cachedMicrosPerMillion: 25_000,
    requestMicros: 0,
    imageMicros: 0,
    ...values,
  };
}

export const offered: OfferedModel[] = [
  offer(models.main, 400_000),
  offer(models.other, 200_000),
  offer(models.large, 1_048_576),
  offer(models.free, 65_536, {
    promptMicrosPerMillion: 0,
    completionMicrosPerMillion: 0,
    cachedMicrosPerMillion: 0,
  }),
  offer(models.embedding, 8_192, {
    completionMicrosPerMillion: 0,
    outputModalities: ['embeddings'],
  }),
  offer(models.image, 46_864, { imageMicros: 40_000, outputModalities: ['image'] }),
];
