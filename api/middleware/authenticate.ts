import { isRole } from '../../domain/identity/permissions';
import { AppError } from '../../domain/errors';
import type { AccessTokens } from '../../lib/accessTokens';
import type { ApiMiddleware, Principal } from '../context';

/** Knows who asks from the bearer token, or answers 401. */
export function authenticate(accessTokens: AccessTokens): ApiMiddleware {
  return async (context, next) => {
    context.state.principal = principalOf(context.get('Authorization'), accessTokens);
    context.set('Cache-Control', 'private, no-cache');
    context.vary('Authorization');
    await next();
  };
}

function principalOf(header: string, accessTokens: AccessTokens): Principal {
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(header)?.[1];
  if (token === undefined) {
    throw unauthenticated('tokenMissing', 'Send the access token as "Authorization: Bearer …".');
  }
  const claims = accessTokens.verify(token);
  if (claims === null || !isRole(claims.role)) {
    throw unauthenticated(
      'tokenInvalid',
      'The access token is not valid or is over; log in again.',
    );
  }
  return { userId: claims.userId, tenantId: claims.tenantId, role: claims.role };
}

function unauthenticated(code: string, message: string): AppError {
  return new AppError('unauthenticated', code, message);
}
