import { z } from 'zod';
import { AppError } from '../../domain/errors';
import { Accepted } from '../../domain/identity/schema';
import { acrossTenants } from '../../models/base';
import { firstTenantOf } from '../../models/identity/accounts';
import { audit } from '../../models/identity/audit';
import { User } from '../../models/identity/User';
import { endUserTokens, issueUserToken, takeUserToken } from '../../models/identity/userTokens';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { publicRoute, rawReply, reply, userRoute } from '../route';
import { sendAccountMail } from './accountMails';
import {
  accountForm,
  accountPageAnswer,
  accountPageHeaders,
  AccountPageQuery,
  accountTextsFor,
  linkPage,
  formValue,
  notePage,
  overPage,
} from './accountPages';
import type { SignInRequest } from './beginSession';

const tags = ['identity'];

const VerifyEmail = z.strictObject({ token: z.string().min(1).max(200) });

const verifyEmail = publicRoute({
  method: 'post',
  path: '/auth/verify-email',
  name: 'verifyEmail',
  summary: 'Show that an address is yours, by the token of the mail to it',
  tags,
  body: json(VerifyEmail),
  limit: 'auth',
  answers: { 204: null },
  problems: ['linkOver'],
  async handler(request) {
    if (!(await verify(request, request.body.token))) {
      throw new AppError('notFound', 'linkOver', 'The token was used or is over; ask for another.');
    }
    return reply(204);
  },
});

const resendVerification = userRoute({
  method: 'post',
  path: '/auth/verify-email/resend',
  name: 'resendVerification',
  summary: 'Get the mail that verifies your address once more',
  description:
    'Five an hour and one a minute are sent; more change nothing, and so does this for an address that is verified.',
  tags,
  permission: 'self:write',
  answers: { 202: Accepted },
  async handler(request) {
    const { deps, userId } = request;
    const user = await acrossTenants(deps.db, 'identity', async (trx) =>
      User.query(trx).findById(userId),
    );
    if (user === undefined) {
      throw new AppError('unauthenticated', 'tokenInvalid', 'The token is of no user here.');
    }
    await sendVerification(request, user);
    return reply(202, { status: 'accepted' as const });
  },
});

const showVerification = publicRoute({
  method: 'get',
  path: '/account/verify',
  root: true,
  name: 'showVerification',
  summary: 'The page to verify an address by',
  description: 'Changes nothing: programs that check mail follow every link in it.',
  tags,
  query: AccountPageQuery,
  answers: { 200: accountPageAnswer, 404: accountPageAnswer },
  handler: (request) =>
    linkPage(request, 'verifyEmail', (texts) => ({ ...texts.verifyPage, fields: [] })),
});

const confirmVerification = publicRoute({
  method: 'post',
  path: '/account/verify',
  root: true,
  name: 'confirmVerification',
  summary: 'Verify an address by the page',
  tags,
  query: AccountPageQuery,
  body: accountForm,
  limit: 'auth',
  answers: { 200: accountPageAnswer, 404: accountPageAnswer },
  async handler(request) {
    const { body, context } = request;
    if (!(await verify(request, formValue(body, 'token')))) {
      return overPage(context);
    }
    const texts = accountTextsFor(context);
    const { done, doneLine } = texts.verifyPage;
    return rawReply(200, notePage(texts, done, doneLine), accountPageHeaders);
  },
});

export const emailVerificationRoutes = [
  verifyEmail,
  resendVerification,
  showVerification,
  confirmVerification,
];

/**
 * Sends the mail that verifies a person's address, unless it is verified or there were too many. That it
 * could not be sent is logged and no error: it can be asked for again.
 */
export async function sendVerification(
  { deps, requestId }: Pick<SignInRequest, 'deps' | 'requestId'>,
  user: User,
): Promise<void> {
  if (user.emailVerifiedAt !== null) {
    return;
  }
  try {
    const token = await acrossTenants(deps.db, 'identity', (trx) =>
      issueUserToken(trx, { userId: user.id, purpose: 'verifyEmail' }),
    );
    if (token !== null) {
      await sendAccountMail(deps, {
        userId: user.id,
        email: user.email,
        language: user.language,
        page: 'verify',
        token,
        text: (texts) => texts.verifyMail,
      });
    }
  } catch (error) {
    deps.logger.warn({ requestId, err: error }, 'mail to verify an address not sent');
  }
}

function verify(request: SignInRequest, token: string): Promise<boolean> {
  return acrossTenants(request.deps.db, 'identity', async (trx) => {
    const userId = await takeUserToken(trx, token, 'verifyEmail');
    if (userId === null) {
      return false;
    }
    await trx.raw(
      'update users set email_verified_at = coalesce(email_verified_at, clock_timestamp()) where id = ?',
      [userId],
    );
    await endUserTokens(trx, userId, ['verifyEmail']);
    await audit(
      trx,
      auditOf(request, {
        action: 'user.emailVerified',
        tenantId: await firstTenantOf(trx, userId),
        actor: { kind: 'user', id: userId },
        target: { kind: 'user', id: userId },
      }),
    );
    return true;
  });
}
