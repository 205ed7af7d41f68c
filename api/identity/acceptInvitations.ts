import type { z } from 'zod';
import { AppError, invalid } from '../../domain/errors';
import {
  AcceptedInvitation,
  AcceptInvitation,
  JoinTenant,
} from '../../domain/identity/people/schema';
import { password as passwordSchema } from '../../domain/identity/schema';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { requireGoodPassword } from '../../lib/passwordRules';
import { hashPassword } from '../../lib/passwords';
import { acrossTenants } from '../../models/base';
import { clearAttempts, forgiveAttempt } from '../../models/identity/attempts';
import { audit } from '../../models/identity/audit';
import {
  acceptInvitation,
  createInvitedUser,
  findInvitation,
  type FoundInvitation,
} from '../../models/identity/invitations';
import { User } from '../../models/identity/User';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { fieldProblems } from '../problems';
import { publicRoute, rawReply, reply, userRoute } from '../route';
import {
  accountForm,
  accountPageAnswer,
  accountPageHeaders,
  AccountPageQuery,
  accountTextsFor,
  currentPasswordField,
  formPage,
  formValue,
  nameFields,
  notePage,
  overPage,
  passwordField,
  passwordProblemText,
} from './accountPages';
import type { AccountTexts } from './accountTexts';
import { requireUnchanged, type SignInRequest } from './beginSession';
import { checkPassword, type CheckedPerson } from './checkPassword';

const tags = ['identity'];

const accept = publicRoute({
  method: 'post',
  path: '/auth/invitations/accept',
  name: 'acceptInvitation',
  summary: 'Accept an invitation by the token of its mail',
  description:
    'Whoever has no account with the address gets one with this password; whoever has one shows its password. Log in afterwards. The token is good once.',
  tags,
  body: json(AcceptInvitation),
  limit: 'auth',
  answers: { 200: AcceptedInvitation },
  problems: ['linkOver', 'wrongCredentials', 'tooManyAttempts'],
  async handler(request) {
    return reply(200, await acceptWithPassword(request, request.body));
  },
});

const join = userRoute({
  method: 'post',
  path: '/users/me/tenants',
  name: 'joinTenant',
  summary: 'Accept an invitation to your own address, by the token of its mail',
  tags,
  permission: 'self:write',
  body: json(JoinTenant),
  answers: { 200: AcceptedInvitation },
  problems: ['invitationOfOther', 'linkOver'],
  async handler(request) {
    const { body, deps, userId } = request;
    const found = await acrossTenants(deps.db, 'identity', async (trx) => {
      const invitation = await findInvitation(trx, body.token);
      if (invitation === null) {
        throw linkOver();
      }
      if (invitation.user?.id !== userId) {
        throw new AppError(
          'forbidden',
          'invitationOfOther',
          'The invitation is to another address than yours.',
        );
      }
      return invitation;
    });
    return reply(200, await take(request, found, { token: body.token, userId, newUser: null }));
  },
});

const show = publicRoute({
  method: 'get',
  path: '/account/invitation',
  root: true,
  name: 'showInvitation',
  summary: 'The page to accept an invitation by',
  description: 'Changes nothing: programs that check mail follow every link in it.',
  tags,
  query: AccountPageQuery,
  answers: { 200: accountPageAnswer, 404: accountPageAnswer },
  async handler({ deps, query, context }) {
    const found = await acrossTenants(deps.db, 'identity', (trx) =>
      findInvitation(trx, query.token),
    );
    return found === null
      ? overPage(context)
      : rawReply(200, pageOf(accountTextsFor(context), query.token, found), accountPageHeaders);
  },
});

const confirm = publicRoute({
  method: 'post',
  path: '/account/invitation',
  root: true,
  name: 'confirmInvitation',
  summary: 'Accept an invitation by the page',
  tags,
  query: AccountPageQuery,
  body: accountForm,
  limit: 'auth',
  answers: { 200: accountPageAnswer, 404: accountPageAnswer, 422: accountPageAnswer },
  async handler(request) {
    const { body, context, deps } = request;
    const texts = accountTextsFor(context);
    const token = formValue(body, 'token');
    try {
      await acceptWithPassword(request, {
        token,
        password: formValue(body, 'password'),
        firstName: nameOf(formValue(body, 'firstName')),
        lastName: nameOf(formValue(body, 'lastName')),
      });
    } catch (error) {
      const found = await acrossTenants(deps.db, 'identity', (trx) => findInvitation(trx, token));
      if (found === null) {
        return overPage(context);
      }
      const problem = isWrongPassword(error)
        ? texts.wrongPassword
        : passwordProblemText(texts, error);
      if (problem === null) {
        throw error;
      }
      return rawReply(422, pageOf(texts, token, found, problem), accountPageHeaders);
    }
    const { done, doneLine } = texts.invitationPage;
    return rawReply(200, notePage(texts, done, doneLine), accountPageHeaders);
  },
});

export const acceptInvitationRoutes = [accept, join, show, confirm];

/**
 * Accepts for whoever holds the token and knows the password, or makes the account that there is none
 * of. The token alone is not enough for an account that is there: a mailbox may be read by others.
 */
async function acceptWithPassword(
  request: SignInRequest,
  given: z.output<typeof AcceptInvitation>,
): Promise<z.output<typeof AcceptedInvitation>> {
  const { deps } = request;
  const { token } = given;
  const found = await acrossTenants(deps.db, 'identity', (trx) => findInvitation(trx, token));
  if (found === null) {
    throw linkOver();
  }
  if (found.user !== null) {
    const checked = await checkPassword(request, { email: found.email, password: given.password });
    return take(request, found, { token, userId: checked.user.id, newUser: null, checked });
  }
  const names = { firstName: given.firstName ?? null, lastName: given.lastName ?? null };
  const passwordHash = await hashGood(given.password, found, names);
  const { defaultLanguage, timeZone } = found.tenant;
  const newUser = {
    id: newId(),
    email: found.email,
    passwordHash,
    ...names,
    language: defaultLanguage,
    timeZone,
  };
  return take(request, found, { token, userId: newUser.id, newUser });
}

async function hashGood(
  given: string,
  { email, tenant }: FoundInvitation,
  names: { firstName: string | null; lastName: string | null },
): Promise<string> {
  const parsed = passwordSchema.safeParse(given);
  if (!parsed.success) {
    throw invalid(
      fieldProblems(parsed.error, 'unknownField').map((problem) => ({
        ...problem,
        path: 'password',
      })),
    );
  }
  requireGoodPassword('password', parsed.data, {
    email,
    names: [names.firstName, names.lastName, tenant.name],
  });
  return hashPassword(parsed.data);
}

interface Taker {
  token: string;
  userId: string;
  /** To be written with it: the account and the membership are there together, or neither. */
  newUser: Parameters<typeof createInvitedUser>[1] | null;
  /** Who has shown their password for it. */
  checked?: CheckedPerson;
}

async function take(
  request: SignInRequest,
  { tenantId, id, email, role, tenant }: FoundInvitation,
  { token, userId, newUser, checked }: Taker,
): Promise<z.output<typeof AcceptedInvitation>> {
  await acrossTenants(request.deps.db, 'identity', async (trx) => {
    if (newUser !== null && !(await createInvitedUser(trx, newUser))) {
      // Of two at once the other one made the account: this one begins anew, and shows its password.
      throw linkOver();
    }
    if (checked !== undefined) {
      await takeBack(trx, checked);
    }
    const user = await User.query(trx).findById(userId).throwIfNotFound();
    if (user.suspendedAt !== null) {
      throw new AppError('forbidden', 'userSuspended', 'This account is suspended; ask support.');
    }
    if (!(await acceptInvitation(trx, { token, userId }))) {
      throw linkOver();
    }
    await audit(
      trx,
      auditOf(request, {
        action: 'invitation.accepted',
        tenantId,
        actor: { kind: 'user', id: userId },
        target: { kind: 'invitation', id },
        after: { role, isNewAccount: newUser !== null },
      }),
    );
  });
  return { tenantId, tenantName: tenant.name, role, email };
}

// A password is not all that is asked of whoever has a second factor: it takes itself back alone.
async function takeBack(trx: Knex.Transaction, { user, subject }: CheckedPerson): Promise<void> {
  await requireUnchanged(trx, user);
  await (user.mfaEnabledAt === null ? clearAttempts(trx, [subject]) : forgiveAttempt(trx, subject));
}

function pageOf(
  texts: AccountTexts,
  token: string,
  { user, tenant }: FoundInvitation,
  problem: string | null = null,
): string {
  const { invitationPage } = texts;
  const hasAccount = user !== null;
  return formPage(texts, {
    ...invitationPage,
    title: `${invitationPage.title}: ${tenant.name}`,
    line: hasAccount ? invitationPage.lineWithAccount : invitationPage.line,
    token,
    fields: hasAccount
      ? [currentPasswordField(texts)]
      : [...nameFields(texts), passwordField(texts)],
    problem,
  });
}

function nameOf(text: string): string | null {
  const name = text.trim().slice(0, 100);
  return name === '' ? null : name;
}

function isWrongPassword(error: unknown): boolean {
  return error instanceof AppError && error.code === 'wrongCredentials';
}

function linkOver(): AppError {
  return new AppError(
    'notFound',
    'linkOver',
    'The invitation was accepted, taken back or is over.',
  );
}
