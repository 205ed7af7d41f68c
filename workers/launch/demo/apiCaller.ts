import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';

/** Calls the public API the way any client would. */
export interface ApiCaller {
  /** The `data` of a 2xx answer, checked; undefined for the statuses named in `orStatus`. */
  call<T>(request: ApiRequest, data: z.ZodType<T>): Promise<T>;
  /** The same, but undefined when the answer has one of these statuses. */
  callUnless<T>(
    statuses: number[],
    request: ApiRequest,
    data: z.ZodType<T>,
  ): Promise<T | undefined>;
  /** How many there are, by a list's `meta.total`. */
  count(path: string): Promise<number>;
  useToken(token: string): void;
}

export interface ApiRequest {
  method: 'GET' | 'POST';
  path: string;
  body?: unknown;
  form?: FormData;
  /** The same key and body again answer the same. */
  key?: string;
}

const timeoutMs = 60_000;
const inTurnMs = 90_000;
const InProgress = z.object({ code: z.literal('requestInProgress') });

export function createApiCaller(baseUrl: string): ApiCaller {
  let token: string | undefined;

  async function send(request: ApiRequest): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${baseUrl}${request.path}`, {
      method: request.method,
      headers: {
        ...(request.form === undefined ? { 'content-type': 'application/json' } : {}),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(request.key === undefined ? {} : { 'idempotency-key': request.key }),
      },
      body: request.form ?? (request.body === undefined ? null : JSON.stringify(request.body)),
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.status, body: await response.json() };
  }

  // A request that was cut off holds its key until its lock runs out, within a minute.
  async function sendInTurn(request: ApiRequest): Promise<{ status: number; body: unknown }> {
    const deadline = Date.now() + inTurnMs;
    for (;;) {
      const answer = await send(request);
      const { success } = InProgress.safeParse(answer.body);
      if (answer.status !== 409 || !success || Date.now() > deadline) {
        return answer;
      }
      await wait(1_000);
    }
  }

  async function callUnless<T>(statuses: number[], request: ApiRequest, data: z.ZodType<T>) {
    const { status, body } = await sendInTurn(request);
    if (statuses.includes(status)) {
      return undefined;
    }
    if (status < 200 || status > 299) {
      throw new Error(
        `${request.method} ${request.path} answered ${status}: ${JSON.stringify(body)}`,
      );
    }
    return z.object({ data }).parse(body).data;
  }

  return {
    callUnless,
    async call(request, data) {
      const answer = await callUnless([], request, data);
      if (answer === undefined) {
        throw new Error(`${request.method} ${request.path} answered nothing`);
      }
      return answer;
    },
    async count(path) {
      const { status, body } = await send({ method: 'GET', path });
      if (status !== 200) {
        throw new Error(`GET ${path} answered ${status}: ${JSON.stringify(body)}`);
      }
      return z.object({ meta: z.object({ total: z.number() }) }).parse(body).meta.total;
    },
    useToken(given) {
      token = given;
    },
  };
}
