import { timingSafeEqual } from 'node:crypto';
import { AppError } from '../../domain/errors';
import { callerNetwork } from '../../lib/callerNetwork';
import { newId, newRandomId } from '../../lib/ids';
import { acrossTenants } from '../../models/base';
import { lockUnchanged } from '../../models/identity/accounts';
import { clearAttempts } from '../../models/identity/attempts';
import { audit } from '../../models/identity/audit';
import {
  closeCodecSession,
  findPayloadReader,
  openCodecSession,
} from '../../models/identity/codecSessions';
import { takeSecondFactor } from '../../models/identity/mfa';
import type { User } from '../../models/identity/User';
import { auditOf, ipOf } from '../audit';
import { bytes } from '../bodies';
import type { ApiContext } from '../context';
import { userAgentOf } from '../identity/beginSession';
import {
  checkPassword,
  factorSubjectOf,
  rememberFailure,
  requireAttempt,
} from '../identity/checkPassword';
import { formCookie, sessionCookie, sessionIdOf, setCookie, setSessionCookie } from './cookies';
import type { CodecDeps } from './deps';
import { homePage, loginPage, pageHeaders } from './pages';

const formSeconds = 3_600;
const formLimitBytes = 8 * 1024;
// The same whatever was wrong: nobody learns here who has an account.
const wrongSignIn = {
  status: 401,
  text: 'There is no account with this address, password and code.',
} as const;

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
  const problem = isFormOurs(context, form)
    ? await signIn(context, deps, form)
    : { status: 403, text: 'This form was too old. Please sign in again.' };
  if (problem === null) {
    lead(context, '/');
    return;
  }
  if (problem.retryAfterSeconds !== undefined) {
    context.set('Retry-After', String(problem.retryAfterSeconds));
  }
  const formToken = giveFormToken(context, deps);
  show(context, problem.status, loginPage({ formToken, problem: problem.text }));
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
    await acrossTenants(deps.db, 'identity', async (trx) => {
      if (await closeCodecSession(trx, reader.sessionId)) {
        await audit(trx, entryOf(context, { action: 'codec.signedOut', userId: reader.userId }));
      }
    });
  }
  setCookie(context, sessionCookie, '', { maxAgeSeconds: 0, isSecure: isSecure(deps) });
  lead(context, '/login');
}

interface Problem {
  status: number;
  text: string;
  retryAfterSeconds?: number;
}

async function signIn(
  context: ApiContext,
  deps: CodecDeps,
  form: URLSearchParams,
): Promise<Problem | null> {
  const allowance = await deps.rateLimits.count('auth', `ip:${callerNetwork(context.ip)}`);
  if (allowance?.isExceeded === true) {
    return tooMany(allowance.resetSeconds);
  }
  try {
    const given = { email: form.get('email') ?? '', password: form.get('password') ?? '' };
    const request = { deps, context, requestId: context.state.requestId };
    const { user, subject } = await checkPassword(request, given);
    return await begin(context, deps, { user, subject, code: form.get('code') ?? '' });
  } catch (error) {
    if (error instanceof AppError && error.kind === 'unauthenticated') {
      return wrongSignIn;
    }
    if (error instanceof AppError && error.kind === 'rateLimited') {
      return tooMany(error.retryAfterSeconds ?? 60);
    }
    throw error;
  }
}

// A wrong code stays counted as an attempt, like a wrong password, and as a wrong code.
async function begin(
  context: ApiContext,
  deps: CodecDeps,
  { user, subject, code }: { user: User; subject: string; code: string },
): Promise<Problem | null> {
  if (user.suspendedAt !== null) {
    return { status: 403, text: 'This account is suspended; ask support.' };
  }
  // A one-time password sets another one and opens nothing else.
  if (user.passwordExpiresAt !== null) {
    return { status: 403, text: 'This password is good once: set a new one at the API first.' };
  }
  const id = newId();
  const hasFactor = user.mfaEnabledAt !== null;
  const factorSubject = factorSubjectOf(deps, subject);
  const attempt = hasFactor ? await requireAttempt(deps, factorSubject) : allowed;
  const begun = await acrossTenants(deps.db, 'identity', async (trx) => {
    if (!(await lockUnchanged(trx, user))) {
      return false;
    }
    if (hasFactor && !(await takeSecondFactor(trx, deps.sealing, factorOf(user.id, code)))) {
      return false;
    }
    await clearAttempts(trx, hasFactor ? [subject, factorSubject] : [subject]);
    await openCodecSession(trx, {
      id,
      userId: user.id,
      mfaAt: hasFactor ? new Date() : null,
      ip: ipOf(context),
      userAgent: userAgentOf(context),
    });
    await audit(trx, entryOf(context, { id, action: 'codec.signedIn', userId: user.id }));
    return true;
  });
  if (!begun) {
    const request = { deps, context, requestId: context.state.requestId };
    await rememberFailure(request, { userId: user.id, email: user.email, attempt });
    return wrongSignIn;
  }
  setSessionCookie(context, id, { sealing: deps.sealing, isSecure: isSecure(deps) });
  return null;
}

const allowed = { isAllowed: true, locksOut: false } as const;

function factorOf(userId: string, typed: string) {
  const code = typed.replace(/\s/g, '');
  return {
    userId,
    factor: /^\d{6}$/.test(code) ? { code } : { recoveryCode: code },
    at: new Date(),
  };
}

function tooMany(retryAfterSeconds: number): Problem {
  const text = `Too many tries. Please try again in ${retryAfterSeconds} seconds.`;
  return { status: 429, text, retryAfterSeconds };
}

async function readForm(context: ApiContext): Promise<URLSearchParams> {
  const reader = bytes({
    types: ['application/x-www-form-urlencoded'],
    limitBytes: formLimitBytes,
  });
  const { value } = await reader.read(context);
  // No field of ours has it, and Postgres keeps it in no text.
  return new URLSearchParams(value.toString('utf8').replaceAll(/%00|\0/g, ''));
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

function entryOf(
  context: ApiContext,
  deed: { id?: string; action: 'codec.signedIn' | 'codec.signedOut'; userId: string },
) {
  const { userId, ...rest } = deed;
  const request = { context, requestId: context.state.requestId };
  return auditOf(request, { ...rest, tenantId: null, actor: { kind: 'user', id: userId } });
}
