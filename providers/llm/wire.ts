import { isIP, type LookupFunction, type Socket } from 'node:net';
import { Agent, buildConnector, request, type Dispatcher } from 'undici';
import { isPublicAddress, publicAddresses, type Resolve } from '../../lib/publicHosts';
import { fieldsOf, isFields, parsed } from './fields';

export interface WireOptions {
  /** Whether only the public internet is called: all but development and tests. */
  readonly onlyPublic: boolean;
  readonly resolve?: Resolve;
}

/** There was no connection: nothing was sent. Its words must not speak of time: see `Wire.fetch`. */
export class NotConnected extends Error {
  constructor(readonly code: string) {
    super('not connected');
    this.name = 'NotConnected';
  }
}

/** The connection ended after the call was sent, before an answer had begun. */
export class Unanswered extends Error {
  constructor(readonly code: string) {
    super('not answered');
    this.name = 'Unanswered';
  }
}

/** An answer of which only the head was read: the body is read where it is known what it is. */
export class WireAnswer extends Response {
  constructor(readonly wire: Dispatcher.ResponseData) {
    super(null, { status: wire.statusCode, headers: headersOf(wire) });
  }

  override readonly text = async () => {
    if (this.ok) {
      return this.textUpTo(maxAnswerBytes);
    }
    return underError(await this.textUpTo(maxRefusalBytes));
  };

  /** @throws TooLong for more than so many bytes; what is left of it is not read */
  async textUpTo(maxBytes: number): Promise<string> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of this.wire.body) {
      if (!(piece instanceof Uint8Array)) {
        throw new TypeError('bytes that are none');
      }
      length += piece.length;
      if (length > maxBytes) {
        throw new TooLong();
      }
      pieces.push(piece);
    }
    return new TextDecoder().decode(Buffer.concat(pieces));
  }
}

/** An answer that is longer than what was asked for can be. */
export class TooLong extends Error {
  constructor() {
    super('too long');
    this.name = 'TooLong';
  }
}

// Pictures and vectors are long; what is written and what is refused is not.
const maxAnswerBytes = 64 * 1024 * 1024;
const maxRefusalBytes = 256 * 1024;

// Of a refusal the client keeps what is under `error`; some who speak as OpenAI does say it without.
function underError(text: string): string {
  const body = parsed(text);
  return isFields(body) && !('error' in body) ? JSON.stringify({ error: body }) : text;
}

/** Connections that are kept, to vendors and to addresses that tenants name. */
export class Wire {
  private readonly agent: Agent;

  constructor(options: WireOptions) {
    this.agent = new Agent({
      connect: options.onlyPublic ? publicConnector(options) : connector({}),
      connections: 2_000,
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 300_000,
      // Every call has limits of its own (`CallClock`).
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: maxAnswerBytes,
    });
  }

  /**
   * What the vendor's client calls in place of the platform's fetch, which costs five times as much.
   * Follows no redirect: it would lead where nobody looked. Sends only the headers that are named
   * here: the client adds what it finds in the environment and what machine it runs on.
   *
   * The client throws away what it takes for an expired timeout by its words, so none of ours is said.
   */
  readonly fetch = async (
    url: string | URL | Request,
    init: RequestInit = {},
  ): Promise<Response> => {
    const { method = 'GET', headers, body, signal } = init;
    if (url instanceof Request || !(headers instanceof Headers)) {
      throw new TypeError('not a call of the client');
    }
    try {
      return new WireAnswer(
        await request(url, {
          dispatcher: this.agent,
          method: method === 'POST' ? 'POST' : 'GET',
          headers: sentHeaders(headers),
          body: typeof body === 'string' ? body : null,
          ...(signal === null || signal === undefined ? {} : { signal }),
        }),
      );
    } catch (error) {
      throw error instanceof NotConnected ? error : new Unanswered(codeOf(error));
    }
  };

  /** Ends calls that are under way, too. */
  close(): Promise<void> {
    return this.agent.destroy();
  }
}

/** A short code for what a socket died of. */
export function codeOf(error: unknown): string {
  const { code } = fieldsOf(error);
  return typeof code === 'string' ? code.slice(0, 60) : 'unknown';
}

const sent = ['authorization', 'content-type', 'accept', 'user-agent'];

function sentHeaders(headers: Headers): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of sent) {
    const value = headers.get(name);
    if (value !== null) {
      found[name] = value;
    }
  }
  return found;
}

function headersOf({ headers }: Dispatcher.ResponseData): Headers {
  const found = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) {
      found.set(name, Array.isArray(value) ? value.join(', ') : value);
    }
  }
  return found;
}

const connectMs = 5_000;

function connector(options: { lookup?: LookupFunction }): buildConnector.connector {
  const connect = buildConnector({ timeout: connectMs, ...options });
  return (target, done) => {
    connect(target, (...[error, socket]) =>
      error === null ? done(null, socket) : done(new NotConnected(codeOf(error)), null),
    );
  };
}

/**
 * Connects to the public internet alone, by TLS: names are looked up once, every address that is
 * found is looked at, and one of these is connected to. Connections that are kept were looked at
 * when they were made.
 */
function publicConnector({ resolve }: WireOptions): buildConnector.connector {
  const connect = connector({ lookup: publicLookup(resolve) });
  return (target, done) => {
    const refuse = (code: string) => process.nextTick(done, new NotConnected(code), null);
    if (target.protocol !== 'https:') {
      refuse('notHttps');
      return;
    }
    // An address is no name: it is not looked up.
    const host = target.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && !isPublicAddress(host)) {
      refuse('notPublic');
      return;
    }
    connect(target, (...[error, socket]) => {
      if (error !== null) {
        done(error, null);
      } else if (isPublicSocket(socket)) {
        done(null, socket);
      } else {
        // Whatever led there: nothing is sent to an address of ours.
        socket.destroy();
        done(new NotConnected('notPublic'), null);
      }
    });
  };
}

function isPublicSocket({ remoteAddress = '' }: Socket): boolean {
  return isPublicAddress(remoteAddress);
}

function publicLookup(resolve?: Resolve): LookupFunction {
  return (host, options, done) => {
    // A dot at its end makes a name no other one.
    void publicAddresses(host.replace(/\.$/, ''), resolve).then((found) => {
      if ('problem' in found) {
        done(Object.assign(new Error(found.problem), { code: found.problem }), '');
        return;
      }
      const addresses = found.addresses.map((address) => ({ address, family: isIP(address) }));
      const [first] = found.addresses;
      if (options.all === true) {
        done(null, addresses);
      } else {
        done(null, first, isIP(first));
      }
    });
  };
}
