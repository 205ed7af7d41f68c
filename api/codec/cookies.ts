import { SealingError, type Sealing } from '../../lib/sealing';
import { isId } from '../../lib/ids';
import { codecSessionHours } from '../../models/identity/codecSessions';
import type { ApiContext } from '../context';

export const sessionCookie = 'carillon_codec';
export const formCookie = 'carillon_codec_form';

// No row: the envelope opens as this cookie and as nothing else.
const place = { table: 'codec_cookie', rowId: 'session', tenantId: null } as const;

/**
 * Gives the browser its session: the id of the row, sealed, so that nobody can make one up. The UI
 * and this server share a host or a domain, and what is on the same site sends a strict cookie
 * whatever the port; pages of others cannot make a browser send it.
 */
export function setSessionCookie(
  context: ApiContext,
  sessionId: string,
  options: { sealing: Sealing; isSecure: boolean },
): void {
  const value = options.sealing.seal(sessionId, place);
  setCookie(context, sessionCookie, value, {
    maxAgeSeconds: codecSessionHours * 3_600,
    isSecure: options.isSecure,
  });
}

/** The id of the session that the cookie names; null without one that we gave. */
export function sessionIdOf(context: ApiContext, sealing: Sealing): string | null {
  const value = context.cookies.get(sessionCookie);
  if (value === undefined) {
    return null;
  }
  try {
    const id = sealing.open(value, place);
    return isId(id) ? id : null;
  } catch (error) {
    if (error instanceof SealingError) {
      return null;
    }
    throw error;
  }
}

/** A cookie that no script reads and no other site makes a browser send. */
export function setCookie(
  context: ApiContext,
  name: string,
  value: string,
  { maxAgeSeconds, isSecure }: { maxAgeSeconds: number; isSecure: boolean },
): void {
  const flags = `Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Strict`;
  // By hand: behind a proxy Koa would refuse a secure cookie, and the proxy is what speaks TLS.
  context.append('Set-Cookie', `${name}=${value}; ${flags}${isSecure ? '; Secure' : ''}`);
}
