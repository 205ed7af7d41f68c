import { z } from 'zod';
import { AppError, invalidField } from '../../domain/errors';
import { isPassword } from '../../lib/passwords';
import { acrossTenants } from '../../models/base';
import { lockUnchanged } from '../../models/identity/accounts';
import { clearAttempts } from '../../models/identity/attempts';
import { audit } from '../../models/identity/audit';
import { takeSecondFactor } from '../../models/identity/mfa';
import { noteStepUp } from '../../models/identity/sessions';
import { User } from '../../models/identity/User';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { stepUpMinutes } from '../middleware/stepUp';
import { reply, userRoute } from '../route';
import { requireAttempt } from './checkPassword';
import { code, recoveryCode } from './mfa';

const StepUp = z.strictObject({
  password: z.string().max(1024).optional().meta({ description: 'For who has no second factor' }),
  code: code.optional().meta({ description: 'For who has one' }),
  recoveryCode: recoveryCode.optional().meta({ description: 'In place of the code' }),
});

const stepUp = userRoute({
  method: 'post',
  path: '/auth/step-up',
  name: 'stepUp',
  summary: 'Show again that it is you, before something dangerous',
  description: `Whoever has a second factor shows that; everybody else their password. It holds for ${stepUpMinutes} minutes, at most until the sign-out. A login counts as well.`,
  tags: ['identity'],
  permission: 'self:write',
  body: json(StepUp),
  limit: 'auth',
  answers: { 204: null },
  problems: ['stepUpRefused', 'tooManyAttempts', 'notWhileImpersonating'],
  async handler(request) {
    const { deps, body, userId, principal } = request;
    const { sessionId } = principal;
    if (sessionId === null || principal.impersonatorId !== null) {
      throw new AppError('forbidden', 'notWhileImpersonating', 'Only the person can show that.');
    }
    const user = await acrossTenants(deps.db, 'identity', async (trx) =>
      User.query(trx).findById(userId).throwIfNotFound(),
    );
    const check = checkOf(user, body);
    // Counted apart from logins: who has stolen a token cannot lock its owner out of those.
    const subject = deps.addressHash(`${user.emailKey} steps up`);
    await requireAttempt(deps, subject);
    const isRight =
      'password' in check ? await isPassword(check.password, user.passwordHash) : null;
    const isDone = await acrossTenants(deps.db, 'identity', async (trx) => {
      // Whoever set another password, or turned a second factor on meanwhile, has to be shown that.
      const isSame = await lockUnchanged(trx, user);
      const isShown =
        isSame &&
        ('password' in check
          ? isRight === true
          : await takeSecondFactor(trx, deps.sealing, { userId, factor: check, at: new Date() }));
      if (isShown) {
        await clearAttempts(trx, [subject]);
        await noteStepUp(trx, sessionId);
      }
      const target = { kind: 'session', id: sessionId };
      const action = isShown ? 'user.steppedUp' : 'user.stepUpFailed';
      await audit(trx, auditOf(request, { action, target }));
      return isShown;
    });
    if (!isDone) {
      throw new AppError('forbidden', 'stepUpRefused', 'This does not show that it is you.');
    }
    return reply(204);
  },
});

export const stepUpRoutes = [stepUp];

/** What is looked at: the second factor of who has one, because a password may be known with the token. */
function checkOf(
  { mfaEnabledAt }: User,
  given: z.output<typeof StepUp>,
): { password: string } | { code: string } | { recoveryCode: string } {
  if (mfaEnabledAt === null) {
    if (given.password === undefined) {
      throw invalidField('password', 'required', 'Show your password.');
    }
    return { password: given.password };
  }
  if (given.code !== undefined) {
    return { code: given.code };
  }
  if (given.recoveryCode === undefined) {
    throw invalidField('code', 'required', 'Show a code of your second factor.');
  }
  return { recoveryCode: given.recoveryCode };
}
