import jwt from 'jsonwebtoken';
import { newRandomId } from './ids';

const algorithm = 'HS256';
const issuer = 'carillon';
const audience = 'carillon-api';

/** Who a request comes from, as the access token says. */
export interface AccessClaims {
  userId: string;
  sessionId: string;
  /** Null for a person who works in no tenant. */
  tenantId: string | null;
}

export interface AccessTokens {
  /** How long a new token is good for. */
  readonly lifetimeSeconds: number;
  issue(claims: AccessClaims): string;
  /** The claims of a token that is ours and not over, else null. */
  verify(token: string): Promise<AccessClaims | null>;
}

/** Signs and checks access tokens (JWT, HS256 and nothing else, 15 minutes by default). */
export function createAccessTokens(secret: string, lifetimeSeconds = 15 * 60): AccessTokens {
  return {
    lifetimeSeconds,
    issue({ userId, sessionId, tenantId }) {
      return jwt.sign({ sid: sessionId, tenant: tenantId }, secret, {
        algorithm,
        issuer,
        audience,
        subject: userId,
        jwtid: newRandomId(),
        expiresIn: lifetimeSeconds,
      });
    },
    async verify(token) {
      try {
        const claims = jwt.verify(token, secret, { algorithms: [algorithm], issuer, audience });
        return typeof claims === 'string' ? null : accessClaims(claims);
      } catch (error) {
        if (error instanceof jwt.JsonWebTokenError) {
          return null;
        }
        throw error;
      }
    },
  };
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
