import twilio from 'twilio';
import type RequestClient from 'twilio/lib/base/RequestClient';
import Response from 'twilio/lib/http/response';
import { readAnswer, StrictHttp } from '../http/strictHttp';

/**
 * What the vendor's client makes its requests with, as it lets a caller choose. It tells apart what
 * the client's own would not: whether anything had left when a call failed, and the headers of a
 * refusal.
 */
export class StrictHttpClient extends twilio.RequestClient {
  private readonly http: StrictHttp;

  constructor(timeoutMs: number) {
    // An empty bundle keeps the client from reading one that the environment names.
    super({ timeout: timeoutMs, autoRetry: false, ca: '' });
    this.http = new StrictHttp(timeoutMs);
  }

  override async request<TData>(options: RequestClient.RequestOptions<TData>) {
    const { method, uri, username = '', password = '', headers = {}, params, data } = options;
    const url = new URL(uri);
    for (const [name, value] of fieldsOf(params)) {
      url.searchParams.append(name, value);
    }
    const answered = await this.http.call({
      method,
      url,
      headers: { ...headers },
      auth: `${username}:${password}`,
      body: data === undefined ? '' : new URLSearchParams(fieldsOf(data)).toString(),
    });
    // The client checks no types: an answer is what the vendor says it is.
    return new Response<TData>(answered.status, readAnswer(answered) as TData, answered.headers);
  }

  /** Ends idle connections. */
  close(): void {
    this.http.close();
  }
}

/** Fields as a form or a query holds them: a list is its name as often as it has values. */
function fieldsOf(values: unknown): [string, string][] {
  return Object.entries(values ?? {}).flatMap(([name, value]: [string, unknown]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, String(one)]),
  );
}
