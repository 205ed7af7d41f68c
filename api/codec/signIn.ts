import { timingSafeEqual } from 'node:crypto';
import { AppError } from '../../domain/errors';
import { callerNetwork } from '../../lib/callerNetwork';
import { newId, newRandomId } from '../../lib/ids';
import { isPassword } from '../../lib/passwords';
import { audit } from '../../models/identity/audit';
import { findUserByEmail } from '../../models/identity/accounts';
import {
  closeCodecSession,
  findPayloadReader,
  openCodecSession,
} from '../../models/identity/codecSessions';
import type { User } from '../../models/identity/User';
import { bytes } from '../bodies';
import type { ApiContext } from '../context';
import { formCookie, sessionCookie, sessionIdOf, setCookie, setSessionCookie } from './cookies';
import type { CodecDeps } from './deps';
import { originOf } from './origin';
import { homePage, loginPage, pageHeaders } from './pages';

const formSeconds = 3_600;
const formLimitBytes = 8 * 1024;
// The same whatever was wrong: nobody learns here who has an account.
const wrongSignIn = 'There is no account with this address, password and code.';

/** Who is signed in; others are led to the form. */
export async function home(context: ApiContext, deps: CodecDeps): Promise<void> {
  const sessionId = sessionIdOf(context, deps.sealing);
  const reader = sessionId === null ? null : await findPayloadReader(deps.db, sessionId);
  if (reader === null) {
    lead(context, '/login');
    return;
  }
  show(
    context,
    200,
    homePage({ reader, formToken: giveFormToken(context, deps), uiUrl: deps.uiUrl }),
  );
}

/** The form. */
export async function showLogin(context: ApiContext, deps: CodecDeps): Promise<void> {
  show(context, 200, loginPage({ formToken: giveFormToken(context, deps) }));
}

/** Signs somebody in with what the API takes too: address, password, and a code where one is needed. */
export async function logIn(context: ApiContext, deps: CodecDeps): Promise<void> {
  const form = await readForm(context);
  if (!isFormOurs(context, form)) {
    const problem = 'This form was too old. Please sign in again.';
    show(context, 403, loginPage({ formToken: giveFormToken(context, deps), problem }));
    return;
  }
  const allowance = await deps.rateLimits.count('auth', `ip:${callerNetwork(context.ip)}`);
  if (allowance?.isExceeded === true) {
    const problem = `Too many tries. Please try again in ${allowance.resetSeconds} seconds.`;
    context.set('Retry-After', String(allowance.resetSeconds));
    show(context, 429, loginPage({ formToken: giveFormToken(context, deps), problem }));
    return;
  }
  const found = await findSignedIn(deps, form);
  if (found === null) {
    const formToken = giveFormToken(context, deps);
    show(context, 401, loginPage({ formToken, problem: wrongSignIn }));
    return;
  }
  const id = newId();
  const { user, mfaAt } = found;
  await openCodecSession(
    deps.db,
    {
      id,
      userId: user.id,
      mfaAt,
      ip: context.ip,
      userAgent: context.get('User-Agent').slice(0, 200),
    },
    (trx) =>
      audit(trx, {
        id,
        tenantId: null,
        actor: { kind: 'user', id: user.id },
        action: 'codec.signedIn',
        origin: originOf(context),
      }),
  );
  setSessionCookie(context, id, { sealing: deps.sealing, isSecure: isSecure(deps) });
  lead(context, '/');
}

/** Ends the session here and in the database. */
export async function logOut(context: ApiContext, deps: CodecDeps): Promise<void> {
  const form = await readForm(context);
  if (!isFormOurs(context, form)) {
    throw new AppError('forbidden', 'formNotOurs', 'Sign out with the button on the page.');
  }
  const sessionId = sessionIdOf(context, deps.sealing);
  const reader = sessionId === null ? null : await findPayloadReader(deps.db, sessionId);
  if (reader !== null) {
    await closeCodecSession(deps.db, reader.sessionId, (trx) =>
      audit(trx, {
        tenantId: null,
        actor: { kind: 'user', id: reader.userId },
        action: 'codec.signedOut',
        origin: originOf(context),
      }),
    );
  }
  setCookie(context, sessionCookie, '', { maxAgeSeconds: 0, isSecure: isSecure(deps) });
  lead(context, '/login');
}

async function findSignedIn(
  deps: CodecDeps,
  form: URLSearchParams,
): Promise<{ user: User; mfaAt: Date | null } | null> {
  const user = await findUserByEmail(deps.db, (form.get('email') ?? '').trim());
  const matches = await isPassword(form.get('password') ?? '', user?.passwordHash);
  // A second factor is never passed over.
  return user === null || !matches || user.mfaEnabledAt !== null ? null : { user, mfaAt: null };
}

async function readForm(context: ApiContext): Promise<URLSearchParams> {
  const reader = bytes({
    types: ['application/x-www-form-urlencoded'],
    limitBytes: formLimitBytes,
  });
  const { value } = await reader.read(context);
  return new URLSearchParams(value.toString('utf8'));
}

// A page of another origin can neither read the cookie nor set it, so only our form has both.
function giveFormToken(context: ApiContext, deps: CodecDeps): string {
  const token = newRandomId();
  setCookie(context, formCookie, token, { maxAgeSeconds: formSeconds, isSecure: isSecure(deps) });
  return token;
}

function isFormOurs(context: ApiContext, form: URLSearchParams): boolean {
  const given = Buffer.from(form.get('formToken') ?? '');
  const expected = Buffer.from(context.cookies.get(formCookie) ?? '');
  return (
    expected.length > 0 && given.length === expected.length && timingSafeEqual(given, expected)
  );
}

function show(context: ApiContext, status: number, html: string): void {
  context.status = status;
  context.set(pageHeaders);
  context.body = html;
}

// 303: the browser asks for the next page, and a reload does not send the form again.
function lead(context: ApiContext, to: string): void {
  context.status = 303;
  context.set('Location', to);
  context.body = '';
}

function isSecure({ config }: CodecDeps): boolean {
  return config.NODE_ENV === 'production';
}
