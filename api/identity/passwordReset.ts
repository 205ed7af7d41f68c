import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { AppError, invalid } from '../../domain/errors';
import { Accepted, password as passwordSchema } from '../../domain/identity/schema';
import { hashPassword } from '../../lib/passwords';
import { requireGoodPassword } from '../../lib/passwordRules';
import { acrossTenants } from '../../models/base';
import { findUserByEmail, firstTenantOf } from '../../models/identity/accounts';
import { audit } from '../../models/identity/audit';
import { resetPassword } from '../../models/identity/passwordReset';
import { User } from '../../models/identity/User';
import { findUserToken, issueUserToken } from '../../models/identity/userTokens';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { fieldProblems } from '../problems';
import { publicRoute, rawReply, reply } from '../route';
import { sendAccountMail } from './accountMails';
import {
  accountForm,
  accountPageAnswer,
  accountPageHeaders,
  AccountPageQuery,
  accountTextsFor,
  formPage,
  linkPage,
  formValue,
  notePage,
  overPage,
  passwordField,
  passwordProblemText,
} from './accountPages';
import type { SignInRequest } from './beginSession';
import { forgiveAll } from './checkPassword';

const tags = ['identity'];

// Longer than writing a mail takes: what takes longer goes on behind the answer.
const answerAfterMs = 300;

const Forgot = z.strictObject({ email: z.string().trim().min(1).max(320) });

const forgot = publicRoute({
  method: 'post',
  path: '/auth/forgot',
  name: 'forgotPassword',
  summary: 'Get a mail by which a new password can be set',
  description:
    'Answers the same after the same time whether anybody has the address or not. The link is good once, for an hour; five an hour and one a minute are sent.',
  tags,
  body: json(Forgot),
  limit: 'auth',
  limitedAddress: ({ email }) => email,
  answers: { 202: Accepted },
  async handler(request) {
    const { deps, body, requestId } = request;
    const answerTime = wait(answerAfterMs);
    const user = await findUserByEmail(deps.db, body.email);
    if (user !== null && user.suspendedAt === null) {
      sendReset(request, user).catch((error: unknown) => {
        deps.logger.warn({ requestId, err: error }, 'mail to set a password not sent');
      });
    }
    await answerTime;
    return reply(202, { status: 'accepted' as const });
  },
});

const Reset = z.strictObject({ token: z.string().min(1).max(200), password: passwordSchema });

const reset = publicRoute({
  method: 'post',
  path: '/auth/reset',
  name: 'resetPassword',
  summary: 'Set a new password by the token of the mail',
  description:
    'Ends all sessions, lets the address log in again if it was locked out, and verifies it. A second factor stays.',
  tags,
  body: json(Reset),
  limit: 'auth',
  answers: { 204: null },
  problems: ['linkOver'],
  async handler(request) {
    await set(request, request.body);
    return reply(204);
  },
});

const showReset = publicRoute({
  method: 'get',
  path: '/account/reset',
  root: true,
  name: 'showPasswordReset',
  summary: 'The page to set a new password by',
  tags,
  query: AccountPageQuery,
  answers: { 200: accountPageAnswer, 404: accountPageAnswer },
  handler: (request) =>
    linkPage(request, 'resetPassword', (texts) => ({
      ...texts.resetPage,
      fields: [passwordField(texts)],
    })),
});

const confirmReset = publicRoute({
  method: 'post',
  path: '/account/reset',
  root: true,
  name: 'confirmPasswordReset',
  summary: 'Set a new password by the page',
  tags,
  query: AccountPageQuery,
  body: accountForm,
  limit: 'auth',
  answers: { 200: accountPageAnswer, 404: accountPageAnswer, 422: accountPageAnswer },
  async handler(request) {
    const { body, context } = request;
    const texts = accountTextsFor(context);
    const token = formValue(body, 'token');
    try {
      await set(request, { token, password: passwordOf(formValue(body, 'password')) });
    } catch (error) {
      if (error instanceof AppError && error.code === 'linkOver') {
        return overPage(context);
      }
      const problem = passwordProblemText(texts, error);
      if (problem === null) {
        throw error;
      }
      const form = { ...texts.resetPage, token, fields: [passwordField(texts)], problem };
      return rawReply(422, formPage(texts, form), accountPageHeaders);
    }
    const { done, doneLine } = texts.resetPage;
    return rawReply(200, notePage(texts, done, doneLine), accountPageHeaders);
  },
});

export const passwordResetRoutes = [forgot, reset, showReset, confirmReset];

/**
 * A password of a form, as those of JSON are read.
 *
 * @throws invalid
 */
export function passwordOf(text: string): string {
  const parsed = z.strictObject({ password: passwordSchema }).safeParse({ password: text });
  if (!parsed.success) {
    throw invalid(fieldProblems(parsed.error, 'unknownField'));
  }
  return parsed.data.password;
}

async function sendReset(request: SignInRequest, user: User): Promise<void> {
  const { deps } = request;
  const token = await acrossTenants(deps.db, 'identity', async (trx) => {
    const issued = await issueUserToken(trx, { userId: user.id, purpose: 'resetPassword' });
    if (issued !== null) {
      const tenantId = await firstTenantOf(trx, user.id);
      const target = { kind: 'user', id: user.id };
      await audit(trx, auditOf(request, { action: 'user.resetAsked', tenantId, target }));
    }
    return issued;
  });
  if (token !== null) {
    await sendAccountMail(deps, {
      userId: user.id,
      email: user.email,
      language: user.language,
      page: 'reset',
      token,
      text: (texts) => texts.resetMail,
    });
  }
}

/** @throws notFound linkOver; invalid with the field `password` */
async function set(
  request: SignInRequest,
  { token, password }: { token: string; password: string },
): Promise<void> {
  const { deps } = request;
  const user = await acrossTenants(deps.db, 'identity', async (trx) => {
    const userId = await findUserToken(trx, token, 'resetPassword');
    return userId === null ? undefined : User.query(trx).findById(userId);
  });
  if (user === undefined) {
    throw linkOver();
  }
  requireGoodPassword('password', password, {
    email: user.email,
    names: [user.companyName, user.firstName, user.lastName],
  });
  const passwordHash = await hashPassword(password);
  await acrossTenants(deps.db, 'identity', async (trx) => {
    const done = await resetPassword(trx, { token, passwordHash });
    if (done === null) {
      throw linkOver();
    }
    await forgiveAll(trx, deps, done.email);
    await audit(
      trx,
      auditOf(request, {
        action: 'user.passwordReset',
        tenantId: await firstTenantOf(trx, done.userId),
        actor: { kind: 'user', id: done.userId },
        target: { kind: 'user', id: done.userId },
      }),
    );
  });
}

function linkOver(): AppError {
  return new AppError('notFound', 'linkOver', 'The token was used or is over; ask for another.');
}
