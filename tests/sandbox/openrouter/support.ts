import OpenAI from 'openai';
import {
  DEMO_OPENROUTER_ACCOUNTS,
  OPENROUTER_PATH,
  type CallCounts,
  type OpenRouterCall,
  type OpenRouterFault,
  type Sandbox,
} from '../../../sandbox';
import { api } from '../support';

export const model = 'openai/gpt-5-mini';

/** The secret of a demo key, by its label. */
export function secretOf(label: string): string {
  const keys = DEMO_OPENROUTER_ACCOUNTS.flatMap((account) => account.keys);
  return keys.find((key) => key.label === label)?.secret ?? '';
}

/** The vendor's client, pointed at the stand-in; it retries nothing. */
export function openRouter(sandbox: Pick<Sandbox, 'url'>, apiKey = secretOf('north-1')): OpenAI {
  return new OpenAI({
    baseURL: `${sandbox.url}${OPENROUTER_PATH}`,
    apiKey,
    organization: null,
    project: null,
    maxRetries: 0,
    timeout: 20_000,
  });
}

/** Asks one thing, without a stream. */
export function ask(client: OpenAI, content: string, changes: Record<string, unknown> = {}) {
  const messages = [{ role: 'user' as const, content }];
  return client.chat.completions.create({ model, messages, ...changes, stream: false });
}

export function setFaults(sandbox: Sandbox, ...rules: OpenRouterFault[]): Promise<unknown> {
  return api(sandbox, '/openrouter/faults', 'PUT', rules);
}

export interface CallPage {
  total: number;
  byKey: Record<string, CallCounts>;
  byAccount: Record<string, CallCounts>;
  items: OpenRouterCall[];
}

export function callsOf(sandbox: Sandbox): Promise<CallPage> {
  return api<CallPage>(sandbox, '/openrouter/calls');
}

/** A request without the vendor's client; for what that client hides. */
export async function raw(
  sandbox: Pick<Sandbox, 'url'>,
  path: string,
  init: { secret?: string | null; json?: unknown } = {},
): Promise<{ status: number; headers: Headers; text: string }> {
  const { secret = secretOf('north-1'), json } = init;
  const response = await fetch(`${sandbox.url}${OPENROUTER_PATH}${path}`, {
    method: json === undefined ? 'GET' : 'POST',
    headers: {
      'content-type': 'application/json',
      ...(secret === null ? {} : { authorization: `Bearer ${secret}` }),
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
