import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isPublicAddress, publicAddresses, type Resolve } from './publicHosts';

/** Why an address in the web that a user named was not fetched, or not to its end. */
export type PublicFetchProblem =
  | 'notHttps'
  | 'hasCredentials'
  | 'notPublic'
  | 'unknown'
  | 'tooLarge'
  | 'timedOut'
  | 'unreachable';

export class PublicFetchError extends Error {
  constructor(
    readonly problem: PublicFetchProblem,
    options?: { cause?: unknown },
  ) {
    super(`not fetched: ${problem}`, options);
    this.name = 'PublicFetchError';
  }
}

export interface PublicFetchOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  headers?: Readonly<Record<string, string>>;
  body?: string | Buffer;
  /** From the look-up of the name to the last byte. */
  timeoutMs: number;
  /** More of a body than this is not read. */
  maxBytes: number;
  /** False where the sandbox on this machine may be called: in development and tests. */
  onlyPublic: boolean;
  resolve?: Resolve;
}

export interface PublicAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

/**
 * Fetches an address that a user named, from the public internet alone: https, no host of our own
 * network by whatever name or form, and the very address that was looked at is connected to, so that
 * a name which leads elsewhere a moment later leads nowhere. A redirect is an answer like any other
 * and is not followed.
 *
 * @throws PublicFetchError
 */
export async function publicFetch(
  address: string,
  options: PublicFetchOptions,
): Promise<PublicAnswer> {
  if (!URL.canParse(address)) {
    throw new PublicFetchError('unknown');
  }
  const url = new URL(address);
  if (url.protocol !== 'https:' && (options.onlyPublic || url.protocol !== 'http:')) {
    throw new PublicFetchError('notHttps');
  }
  if (url.username !== '' || url.password !== '') {
    throw new PublicFetchError('hasCredentials');
  }
  const signal = AbortSignal.timeout(options.timeoutMs);
  try {
    const addresses = await within(signal, addressesOf(url, options));
    return await read(await ask(url, addresses, signal, options), options.maxBytes);
  } catch (error) {
    throw error instanceof PublicFetchError
      ? error
      : new PublicFetchError(signal.aborted ? 'timedOut' : 'unreachable', { cause: error });
  }
}

async function addressesOf(
  url: URL,
  { onlyPublic, resolve }: PublicFetchOptions,
): Promise<string[]> {
  // The brackets of an IPv6 address belong to the URL.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!onlyPublic) {
    return resolve === undefined ? [] : resolve(host);
  }
  // A dot at its end makes a name no other one.
  const found = await publicAddresses(host.replace(/\.$/, ''), resolve);
  if ('problem' in found) {
    throw new PublicFetchError(found.problem);
  }
  return found.addresses;
}

function ask(
  url: URL,
  addresses: readonly string[],
  signal: AbortSignal,
  { method = 'GET', headers, body, onlyPublic }: PublicFetchOptions,
): Promise<IncomingMessage> {
  const settings: RequestOptions = {
    method,
    signal,
    // A connection kept for another request would be one to an address nobody looked at for it.
    agent: false,
    headers: { Connection: 'close', ...headers },
    ...(addresses.length === 0 ? {} : { lookup: alwaysTo(addresses) }),
  };
  return new Promise((resolve, reject) => {
    const request =
      url.protocol === 'https:' ? httpsRequest(url, settings) : httpRequest(url, settings);
    request.once('socket', (socket) => {
      socket.once('connect', () => {
        // Whatever led there: nothing is sent to an address of ours.
        if (onlyPublic && !isPublicAddress(socket.remoteAddress ?? '')) {
          socket.destroy(new PublicFetchError('notPublic'));
        }
      });
    });
    request.once('response', resolve);
    request.once('error', reject);
    request.end(body);
  });
}

/** Answers what was found before, whenever the name is asked for. */
function alwaysTo(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, options, done) => {
    const [first] = found;
    if (options.all === true || first === undefined) {
      done(null, found);
    } else {
      done(null, first.address, first.family);
    }
  };
}

async function read(response: IncomingMessage, maxBytes: number): Promise<PublicAnswer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    const part = Buffer.from(chunk);
    length += part.length;
    if (length > maxBytes) {
      response.destroy();
      throw new PublicFetchError('tooLarge');
    }
    chunks.push(part);
  }
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks),
  };
}

function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new PublicFetchError('timedOut')), {
      once: true,
    });
    work.then(resolve, reject);
  });
}
