import http from 'node:http';
import https from 'node:https';
import twilio from 'twilio';
import type RequestClient from 'twilio/lib/base/RequestClient';
import Response from 'twilio/lib/http/response';

/** An answer of the vendor that is no success. Its headers live here alone: the client drops them. */
export class VendorReply extends Error {
  constructor(
    readonly status: number,
    readonly headers: unknown,
    readonly body: unknown,
  ) {
    super(`Twilio answered ${status}`);
  }
}

/** A call of which not a byte has left: there was no connection yet. */
export class NeverLeft extends Error {
  constructor(override readonly cause: unknown) {
    super('the request never left');
  }
}

/** A success that is no JSON: something else than the vendor answered. */
export class UnreadableAnswer extends Error {
  readonly code = 'EBADMSG';
}

/**
 * What the vendor's client makes its requests with, as it lets a caller choose: connections that
 * are kept, one deadline for the whole call, no redirects, no proxy from the environment. It tells
 * apart what the client's own would not: whether anything had left when a call failed, and the
 * headers of a refusal.
 */
export class StrictHttpClient extends twilio.RequestClient {
  private readonly httpAgent = new http.Agent({ keepAlive: true });
  private readonly httpsAgent = new https.Agent({ keepAlive: true });

  constructor(private readonly timeoutMs: number) {
    // An empty bundle keeps the client from reading one that the environment names.
    super({ timeout: timeoutMs, autoRetry: false, ca: '' });
  }

  override async request<TData>(options: RequestClient.RequestOptions<TData>) {
    const { method, uri, username = '', password = '', headers, params, data } = options;
    const url = new URL(uri);
    for (const [name, value] of fieldsOf(params)) {
      url.searchParams.append(name, value);
    }
    const body = data === undefined ? '' : new URLSearchParams(fieldsOf(data)).toString();
    const {
      status,
      headers: answered,
      text,
    } = await this.exchange(url, body, {
      method,
      headers: { ...headers, 'Content-Length': String(Buffer.byteLength(body)) },
      auth: `${username}:${password}`,
    });
    const answer = readJson(text);
    if (status < 200 || status >= 300) {
      throw new VendorReply(status, answered, answer);
    }
    if (typeof answer === 'string') {
      throw new UnreadableAnswer();
    }
    // The client checks no types: an answer is what the vendor says it is.
    return new Response<TData>(status, answer as TData, answered);
  }

  /** Ends idle connections. */
  close(): void {
    this.httpAgent.destroy();
    this.httpsAgent.destroy();
  }

  private exchange(url: URL, body: string, options: http.RequestOptions): Promise<Exchanged> {
    return new Promise((resolve, reject) => {
      const isSecure = url.protocol === 'https:';
      const request = isSecure
        ? https.request(url, { ...options, agent: this.httpsAgent })
        : http.request(url, { ...options, agent: this.httpAgent });
      let isConnected = false;
      const fail = (error: unknown) => {
        clearTimeout(deadline);
        reject(isConnected ? error : new NeverLeft(error));
      };
      const deadline = setTimeout(() => request.destroy(new CallTimedOut()), this.timeoutMs);
      request.once('socket', (socket) => {
        if (!socket.connecting) {
          isConnected = true;
          return;
        }
        socket.once(isSecure ? 'secureConnect' : 'connect', () => {
          isConnected = true;
        });
      });
      request.on('error', fail);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          size += chunk.length;
          if (size > maxAnswerBytes) {
            request.destroy(new AnswerTooLarge());
          }
        });
        response.on('error', fail);
        response.on('end', () => {
          clearTimeout(deadline);
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, text: Buffer.concat(chunks).toString('utf8') });
        });
      });
      request.end(body);
    });
  }
}

interface Exchanged {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

// A full page of a list takes a megabyte.
const maxAnswerBytes = 16 * 1024 * 1024;

class AnswerTooLarge extends Error {
  readonly code = 'EMSGSIZE';
}

class CallTimedOut extends Error {
  readonly code = 'ETIMEDOUT';
}

/** Fields as a form or a query holds them: a list is its name as often as it has values. */
function fieldsOf(values: unknown): [string, string][] {
  return Object.entries(values ?? {}).flatMap(([name, value]: [string, unknown]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, String(one)]),
  );
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
