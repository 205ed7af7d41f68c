import http from 'node:http';
import https from 'node:https';

/** An answer of a vendor that is no success. */
export class VendorReply extends Error {
  constructor(
    readonly status: number,
    readonly headers: unknown,
    readonly body: unknown,
  ) {
    super(`the vendor answered ${status}`);
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

export interface HttpCall {
  method: string;
  url: URL;
  headers: http.OutgoingHttpHeaders;
  /** `name:password`, for Basic authentication. */
  auth?: string;
  body: string;
}

export interface HttpAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

/**
 * Calls to a vendor that must not be made twice: connections that are kept, one deadline for the
 * whole call, no redirects, no retries, no proxy from the environment. A call that fails tells
 * whether anything had left (`NeverLeft`, or the failure itself).
 */
export class StrictHttp {
  private readonly httpAgent: http.Agent;
  private readonly httpsAgent: https.Agent;

  /** An idle connection ends after `idleMs`: one that the way has forgotten would make a doubt. */
  constructor(
    private readonly timeoutMs: number,
    idleMs = 30_000,
  ) {
    this.httpAgent = new http.Agent({ keepAlive: true, timeout: idleMs });
    this.httpsAgent = new https.Agent({ keepAlive: true, timeout: idleMs });
  }

  call({ url, body, ...rest }: HttpCall): Promise<HttpAnswer> {
    const headers = { ...rest.headers, 'Content-Length': String(Buffer.byteLength(body)) };
    const options = { ...rest, headers };
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
          const { statusCode: status = 0, headers: answered } = response;
          resolve({ status, headers: answered, text: Buffer.concat(chunks).toString('utf8') });
        });
      });
      request.end(body);
    });
  }

  /** Ends idle connections. */
  close(): void {
    this.httpAgent.destroy();
    this.httpsAgent.destroy();
  }
}

/** What a success says; throws `VendorReply` for what is none, `UnreadableAnswer` for no JSON. */
export function readAnswer({ status, headers, text }: HttpAnswer): unknown {
  const answer = readJson(text);
  if (status < 200 || status >= 300) {
    throw new VendorReply(status, headers, answer);
  }
  if (typeof answer === 'string') {
    throw new UnreadableAnswer();
  }
  return answer;
}

// A full page of a list takes a megabyte.
const maxAnswerBytes = 16 * 1024 * 1024;

class AnswerTooLarge extends Error {
  readonly code = 'EMSGSIZE';
}

class CallTimedOut extends Error {
  readonly code = 'ETIMEDOUT';
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
