import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import jwt from 'jsonwebtoken';
import { AppError } from '../domain/errors';
import { newRandomId } from './ids';

const algorithm = 'ES256';
const issuer = 'carillon';
const audience = 'carillon-api';

/** How long an access token is good for, unless a test says otherwise. */
export const accessTokenSeconds = 15 * 60;

const reloadAtMostEveryMs = 1_000;
const retryAfterMs = 2_000;

/** Who a request comes from, as the access token says. */
export interface AccessClaims {
  userId: string;
  sessionId: string;
  /** Null for a person who works in no tenant. */
  tenantId: string | null;
}

/** One key of the set as it is now; times are told in ms from now, because clocks differ. */
export interface SigningKey {
  kid: string;
  publicJwk: JsonWebKey;
  /** Null when it is sealed with a key that is not at hand: it still verifies. */
  privateKey: KeyObject | null;
  signsInMs: number;
  /** Null for as long as it signs. */
  verifiesForMs: number | null;
}

export interface AccessTokens {
  /** How long a new token is good for. */
  readonly lifetimeSeconds: number;
  /** @throws unavailable signingKeysMissing when no key could be read yet */
  issue(claims: AccessClaims, forSeconds?: number): string;
  /** The claims of a token that is ours and not over, else null. */
  verify(token: string): Promise<AccessClaims | null>;
  /** The public halves of all keys that verify, as RFC 7517 has them. */
  publicKeys(): JsonWebKey[];
  /** Reads the set anew, as it does by itself every minute. */
  reload(): Promise<void>;
  /** Ends the reading. */
  close(): void;
}

interface HeldKey {
  kid: string;
  publicJwk: JsonWebKey;
  publicKey: KeyObject;
  privateKey: KeyObject | null;
  signsFrom: number;
  verifiesUntil: number;
}

/**
 * Signs and checks access tokens: JWTs by ES256 and nothing else, each naming its key. The set of
 * keys is held in memory once `reload` was called. It is read every minute after that, and before a
 * token of an unknown key is refused: another process may have made that key a moment ago. No more
 * than one reading begins in a second, so that made-up keys cost the database nothing.
 */
export function createAccessTokens(
  load: () => Promise<SigningKey[]>,
  options: {
    lifetimeSeconds?: number;
    reloadEveryMs?: number;
    onError?: (error: unknown) => void;
  } = {},
): AccessTokens {
  const { lifetimeSeconds = accessTokenSeconds, reloadEveryMs = 60_000 } = options;
  const { onError = () => undefined } = options;
  let keys: ReadonlyMap<string, HeldKey> = new Map();
  let lastBegan = Number.NEGATIVE_INFINITY;
  let asked: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  // Whoever asks before it has begun shares it; who asks later may know of a newer key.
  function reload(): Promise<void> {
    asked ??= (async () => {
      await wait(Math.max(0, lastBegan + reloadAtMostEveryMs - performance.now()));
      asked = null;
      await read();
    })();
    return asked;
  }

  async function read(): Promise<void> {
    lastBegan = performance.now();
    try {
      const loaded = await load();
      keys = new Map(loaded.map((key) => [key.kid, held(key)]));
      readAgainIn(reloadEveryMs);
    } catch (error) {
      readAgainIn(Math.min(reloadEveryMs, retryAfterMs));
      throw error;
    }
  }

  function readAgainIn(delayMs: number): void {
    clearTimeout(timer);
    if (!isClosed) {
      timer = setTimeout(() => {
        reload().catch(onError);
      }, delayMs).unref();
    }
  }

  async function keyOf(kid: string): Promise<HeldKey | undefined> {
    if (!keys.has(kid)) {
      await reload();
    }
    const key = keys.get(kid);
    return key !== undefined && key.verifiesUntil > Date.now() ? key : undefined;
  }

  return {
    lifetimeSeconds,

    issue({ userId, sessionId, tenantId }, forSeconds = lifetimeSeconds) {
      const now = Date.now();
      const signer = [...keys.values()]
        .filter(({ signsFrom, verifiesUntil }) => signsFrom <= now && verifiesUntil > now)
        .sort((a, b) => b.signsFrom - a.signsFrom)
        .find(({ privateKey }) => privateKey !== null);
      if (signer?.privateKey == null) {
        throw new AppError(
          'unavailable',
          'signingKeysMissing',
          'There is no key to sign access tokens with yet.',
          { retryAfterSeconds: 2 },
        );
      }
      return jwt.sign({ sid: sessionId, tenant: tenantId }, signer.privateKey, {
        algorithm,
        keyid: signer.kid,
        issuer,
        audience,
        subject: userId,
        jwtid: newRandomId(),
        expiresIn: forSeconds,
      });
    },

    async verify(token) {
      const kid = kidOf(token);
      const key = kid === null ? undefined : await keyOf(kid);
      if (key === undefined) {
        return null;
      }
      try {
        const claims = jwt.verify(token, key.publicKey, {
          algorithms: [algorithm],
          issuer,
          audience,
        });
        return typeof claims === 'string' ? null : accessClaims(claims);
      } catch (error) {
        if (error instanceof jwt.JsonWebTokenError) {
          return null;
        }
        throw error;
      }
    },

    publicKeys() {
      const now = Date.now();
      return [...keys.values()]
        .filter(({ verifiesUntil }) => verifiesUntil > now)
        .map(({ kid, publicJwk }) => ({ ...publicJwk, kid, alg: algorithm, use: 'sig' }));
    },

    reload,

    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

function held({ kid, publicJwk, privateKey, signsInMs, verifiesForMs }: SigningKey): HeldKey {
  return {
    kid,
    publicJwk,
    publicKey: createPublicKey({ key: publicJwk, format: 'jwk' }),
    privateKey,
    signsFrom: Date.now() + signsInMs,
    verifiesUntil: verifiesForMs === null ? Number.POSITIVE_INFINITY : Date.now() + verifiesForMs,
  };
}

// What a token says of itself before it is checked: only which of our keys to check it with.
function kidOf(token: string): string | null {
  const header = jwt.decode(token, { complete: true })?.header;
  return header?.alg === algorithm && /^[\w-]{43}$/.test(header.kid ?? '')
    ? (header.kid ?? null)
    : null;
}

function accessClaims(claims: jwt.JwtPayload): AccessClaims | null {
  const tenant: unknown = claims['tenant'];
  const sessionId: unknown = claims['sid'];
  if (
    claims.sub === undefined ||
    typeof sessionId !== 'string' ||
    (tenant !== null && typeof tenant !== 'string')
  ) {
    return null;
  }
  return { userId: claims.sub, sessionId, tenantId: tenant };
}
