import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from '../exchange';
import { type AccountState, type Bearer, type OpenRouterAccounts } from './accounts';
import { isObject } from './answers/schemaValue';
import type { OpenRouterCall, OpenRouterCalls } from './calls';
import { findModel, modelList } from './catalogue';
import { refuseLength, refuseModel, refuseMoney } from './admission';
import { answerChat } from './chat';
import {
  managementOnly,
  noCredentials,
  notFound,
  refusal,
  userNotFound,
  type Refusal,
} from './errors';
import { createExchanges, type Exchange } from './exchange';
import type { Fate, OpenRouterFaults, OpenRouterPath } from './faults';
import { generationBody, type Generations } from './generations';
import { answerEmbeddings, answerImages } from './otherCalls';
import { modelsOf, readChat } from './readChat';
import { refusalOf } from './refusals';
import { creditsBody, keyBody } from './statusBodies';

/** Where the vendor's API begins. */
export const OPENROUTER_PATH = '/openrouter/api/v1';

const MAX_BODY_BYTES = 16 * 1024 * 1024;

export interface OpenRouterParts {
  accounts: OpenRouterAccounts;
  faults: OpenRouterFaults;
  calls: OpenRouterCalls;
  generations: Generations;
  /** Makes answers repeatable. */
  seed: string;
  closing: AbortSignal;
}

const gets: Readonly<Record<string, OpenRouterPath>> = {
  '/key': 'key',
  '/auth/key': 'key',
  '/credits': 'credits',
  '/models': 'models',
  '/generation': 'generation',
};
const posts: Readonly<Record<string, OpenRouterPath>> = {
  '/chat/completions': 'chat',
  '/embeddings': 'embeddings',
  '/images': 'images',
};

/** Everything under the vendor's API. */
export function createOpenRouterApi(parts: OpenRouterParts) {
  const { accounts, faults, calls, generations } = parts;
  const begin = createExchanges(calls, parts.closing);
  let turn = 0;

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://sandbox');
    const rest = url.pathname.slice(OPENROUTER_PATH.length);
    const path = (request.method === 'POST' ? posts : gets)[rest] ?? null;
    const exchange = begin(response, calls.begin(path ?? 'other', Date.now()));
    const body = await readBody(request, MAX_BODY_BYTES);
    if (body.kind === 'aborted') {
      return;
    }
    if (body.kind === 'tooLarge') {
      const metadata = { error_type: 'payload_too_large' };
      exchange.refuse(refusal(413, 'Request body is too large', metadata, { connection: 'close' }));
      return;
    }
    if (path === null) {
      exchange.refuse(notFound);
      return;
    }
    const now = Date.now();
    const bearer = bearerOf(request, now);
    note(exchange.call, bearer);
    if (request.method === 'POST') {
      await ask(exchange, path, bearer, parsed(body.bytes));
    } else {
      await look(exchange, path, bearer, url);
    }
  };

  async function look(
    exchange: Exchange,
    path: OpenRouterPath,
    bearer: Bearer | Refusal,
    url: URL,
  ): Promise<void> {
    const fate = decide(exchange, path, bearer, null);
    if (await meets(exchange, fate, { model: '', excerpt: '' })) {
      return;
    }
    // The list of models is public.
    if (path === 'models') {
      exchange.answer(200, modelList);
      return;
    }
    if ('status' in bearer) {
      exchange.refuse(bearer);
      return;
    }
    const account = bearer.kind === 'key' ? bearer.key.account : bearer.account;
    if (path === 'key') {
      exchange.answer(200, keyBody(bearer, Date.now()));
      return;
    }
    if (path === 'credits') {
      if (bearer.kind === 'key') {
        exchange.refuse(managementOnly);
      } else {
        exchange.answer(200, creditsBody(account));
      }
      return;
    }
    const found = generations.find(url.searchParams.get('id') ?? '', account.id);
    if (found) {
      exchange.answer(200, generationBody(found));
    } else {
      exchange.refuse(notFound);
    }
  }

  async function ask(
    exchange: Exchange,
    path: OpenRouterPath,
    bearer: Bearer | Refusal,
    body: unknown,
  ): Promise<void> {
    const { call } = exchange;
    const wanted = isObject(body) ? body : {};
    const read = path === 'chat' ? readChat(body) : null;
    const chat = read && !('status' in read) ? read : null;
    const models = modelsOf(wanted);
    call.stream = chat?.isStream ?? false;
    call.session = chat?.sessionId ?? null;
    call.user = typeof wanted.user === 'string' ? wanted.user : null;
    const excerpt = excerptOf(chat?.question ?? '');
    for (const [at, name] of (models ?? ['']).entries()) {
      call.model = name;
      const isLast = at === (models?.length ?? 1) - 1;
      const fate = decide(exchange, path, bearer, name);
      const refused = refusalOf(fate, { model: name, excerpt, now: Date.now() });
      // Further models are for what another one may answer.
      if (refused && !isLast && !doorStatuses.has(refused.status)) {
        continue;
      }
      if (await meets(exchange, fate, { model: name, excerpt })) {
        return;
      }
      if ('status' in bearer || bearer.kind !== 'key') {
        exchange.refuse('status' in bearer ? bearer : userNotFound);
        return;
      }
      const { key } = bearer;
      const model = findModel(name);
      const wrong = read && 'status' in read ? read : null;
      const no = wrong ?? refuseModel(path, model, name) ?? refuseMoney(key, model, Date.now());
      if (no || !model) {
        exchange.refuse(no ?? notFound);
        return;
      }
      turn += 1;
      const paid = { exchange, key, model, fate, generations };
      if (chat) {
        const tooLong = refuseLength(chat, model);
        if (tooLong) {
          exchange.refuse(tooLong);
        } else {
          await answerChat({ ...paid, request: chat, seed: parts.seed, turn });
        }
      } else {
        await (path === 'images' ? answerImages : answerEmbeddings)(paid, wanted);
      }
      return;
    }
  }

  function decide(
    exchange: Exchange,
    path: OpenRouterPath,
    bearer: Bearer | Refusal,
    model: string | null,
  ): Fate {
    const { call } = exchange;
    const key = 'kind' in bearer && bearer.kind === 'key' ? bearer.key : null;
    const subject = { path, key, account: call.account, model, isStream: call.stream };
    const fate = faults.decide(subject, Date.now());
    call.fault = fate.rule?.fault ?? null;
    return fate;
  }

  // Whether the fate was all there is to the call.
  async function meets(
    exchange: Exchange,
    fate: Fate,
    about: { model: string; excerpt: string },
  ): Promise<boolean> {
    const fault = fate.rule?.fault;
    if (fault === 'hang') {
      exchange.hold();
      return true;
    }
    const refused = refusalOf(fate, { ...about, now: Date.now() });
    if (fault !== 'connectionReset' && !refused) {
      return false;
    }
    // Nobody thinks before a refusal: only its own rule makes it slow.
    if (await exchange.wait(fate.rule?.latencyMs ?? 0)) {
      if (refused) {
        exchange.refuse(refused);
      } else {
        exchange.cut();
      }
    }
    return true;
  }

  function note(call: OpenRouterCall, bearer: Bearer | Refusal): void {
    if ('kind' in bearer) {
      const key = bearer.kind === 'key' ? bearer.key : null;
      calls.by(call, key, key ? key.account.id : accountOf(bearer).id);
    }
  }

  function bearerOf(request: IncomingMessage, now: number): Bearer | Refusal {
    const token = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    return token === undefined ? noCredentials : (accounts.bearerOf(token, now) ?? userNotFound);
  }
}

// What no other model changes.
const doorStatuses = new Set([400, 401, 402, 412, 413, 422]);

function accountOf(bearer: Bearer): AccountState {
  return bearer.kind === 'key' ? bearer.key.account : bearer.account;
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}

// A hundred characters at most, its middle left out.
function excerptOf(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 48)}...${text.slice(-48)}`;
}
