import jwt from 'jsonwebtoken';
import { newRandomId } from './ids';

const algorithm = 'HS256';
const issuer = 'carillon';
const audience = 'carillon-api';

/** Who a request comes from, as the access token says. */
export interface AccessClaims {
  userId: string;
  tenantId: string;
  role: string;
}

export interface AccessTokens {
  /** How long a new token is good for. */
  readonly lifetimeSeconds: number;
  issue(claims: AccessClaims): string;
  /** The claims of a token that is ours and not over, else null. */
  verify(token: string): AccessClaims | null;
}

/** Signs and checks access tokens (JWT, HS256 and nothing else, 15 minutes by default). */
export function createAccessTokens(secret: string, lifetimeSeconds = 15 * 60): AccessTokens {
  return {
    lifetimeSeconds,
    issue({ userId, tenantId, role }) {
      return jwt.sign({ tenant: tenantId, role }, secret, {
        algorithm,
        issuer,
        audience,
        subject: userId,
        jwtid: newRandomId(),
        expiresIn: lifetimeSeconds,
      });
    },
    verify(token) {
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
  const role: unknown = claims['role'];
  if (claims.sub === undefined || typeof tenant !== 'string' || typeof role !== 'string') {
    return null;
  }
  return { userId: claims.sub, tenantId: tenant, role };
}
