import { z } from 'zod';
import { AppError, conflict } from '../../domain/errors';
import { Session } from '../../domain/identity/schema';
import { newTotpSecret, qrSvg, totpUrl } from '../../lib/totp';
import { acrossTenants } from '../../models/base';
import { firstTenantOf } from '../../models/identity/accounts';
import { clearAttempts } from '../../models/identity/attempts';
import { audit } from '../../models/identity/audit';
import {
  disableMfa,
  enableMfa,
  proposeMfa,
  renewRecoveryCodes,
  takeSecondFactor,
  type SecondFactor,
} from '../../models/identity/mfa';
import { User } from '../../models/identity/User';
import { findUserToken, takeUserToken } from '../../models/identity/userTokens';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { publicRoute, reply, userRoute } from '../route';
import { beginSession, presentBegun, requireUnchanged } from './beginSession';
import { factorSubjectOf, findSubject, rememberFailure, requireAttempt } from './checkPassword';

const tags = ['identity'];

/** Six digits, with the space that apps show in the middle or without. */
export const code = z
  .string()
  .max(20)
  .transform((text) => text.replace(/\s/g, ''))
  .refine((text) => /^\d{6}$/.test(text), {
    params: { code: 'wrongFormat' },
    message: 'Is not a code of six digits.',
  });

export const recoveryCode = z.string().min(1).max(64);

const Enrollment = z
  .object({
    secret: z.string().meta({ description: 'For an app that reads no QR codes' }),
    otpauthUrl: z.string(),
    qrSvg: z.string().meta({ description: 'The address as a QR code' }),
  })
  .meta({ id: 'MfaEnrollment' });

const RecoveryCodes = z
  .object({
    recoveryCodes: z.array(z.string()).meta({ description: 'Shown this once; each is good once' }),
  })
  .meta({ id: 'RecoveryCodes' });

const enroll = userRoute({
  method: 'post',
  path: '/auth/mfa/enroll',
  name: 'enrollMfa',
  summary: 'Get a seed for an app that shows codes (TOTP)',
  description: 'It counts once a code of it was shown: POST /auth/mfa/verify.',
  tags,
  permission: 'self:write',
  stepUp: true,
  answers: { 200: Enrollment },
  problems: ['mfaEnabled'],
  async handler({ deps, userId }) {
    const secret = newTotpSecret();
    const email = await acrossTenants(deps.db, 'identity', async (trx) => {
      if (!(await proposeMfa(trx, deps.sealing, { userId, secret }))) {
        throw conflict('mfaEnabled', 'You have a second factor; disable it first.');
      }
      return (await User.query(trx).findById(userId).throwIfNotFound()).email;
    });
    const otpauthUrl = totpUrl(secret, email);
    return reply(200, { secret, otpauthUrl, qrSvg: await qrSvg(otpauthUrl) });
  },
});

const verify = userRoute({
  method: 'post',
  path: '/auth/mfa/verify',
  name: 'verifyMfa',
  summary: 'Log in with a second factor from now on',
  tags,
  permission: 'self:write',
  body: json(z.strictObject({ code })),
  limit: 'auth',
  stepUp: true,
  answers: { 200: RecoveryCodes },
  problems: ['mfaNotEnrolled', 'codeRefused', 'tooManyAttempts'],
  async handler(request) {
    const { deps, body, userId, principal } = request;
    // Counted apart from logins: who has stolen a token cannot lock its owner out of those.
    const subject = deps.addressHash(`${userId} turns a second factor on`);
    await requireAttempt(deps, subject);
    const enabled = await acrossTenants(deps.db, 'identity', async (trx) => {
      const done = await enableMfa(trx, deps.sealing, {
        userId,
        sessionId: principal.sessionId,
        code: body.code,
        at: new Date(),
      });
      if (done.kind === 'enabled') {
        await clearAttempts(trx, [subject]);
        const target = { kind: 'user', id: userId };
        await audit(trx, auditOf(request, { action: 'user.mfaEnabled', target }));
      }
      return done;
    });
    switch (enabled.kind) {
      case 'enabled':
        return reply(200, { recoveryCodes: enabled.recoveryCodes });
      case 'wrongCode':
        throw wrongCode('forbidden');
      case 'notProposed':
        throw conflict('mfaNotEnrolled', 'Enroll first: POST /auth/mfa/enroll.');
    }
  },
});

const disable = userRoute({
  method: 'post',
  path: '/auth/mfa/disable',
  name: 'disableMfa',
  summary: 'Log in without a second factor from now on',
  tags,
  permission: 'self:write',
  stepUp: true,
  answers: { 204: null },
  problems: ['mfaNotEnabled'],
  async handler(request) {
    const { deps, userId } = request;
    await acrossTenants(deps.db, 'identity', async (trx) => {
      if (!(await disableMfa(trx, userId))) {
        throw notEnabled();
      }
      const target = { kind: 'user', id: userId };
      await audit(trx, auditOf(request, { action: 'user.mfaDisabled', target }));
    });
    return reply(204);
  },
});

const renewCodes = userRoute({
  method: 'post',
  path: '/auth/mfa/recovery-codes',
  name: 'renewRecoveryCodes',
  summary: 'Get ten new recovery codes; those before are over',
  tags,
  permission: 'self:write',
  stepUp: true,
  answers: { 200: RecoveryCodes },
  problems: ['mfaNotEnabled'],
  async handler(request) {
    const { deps, userId } = request;
    const recoveryCodes = await acrossTenants(deps.db, 'identity', async (trx) => {
      const user = await User.query(trx).findById(userId).forUpdate().throwIfNotFound();
      if (user.mfaEnabledAt === null) {
        throw notEnabled();
      }
      const target = { kind: 'user', id: userId };
      await audit(trx, auditOf(request, { action: 'user.recoveryCodesRenewed', target }));
      return renewRecoveryCodes(trx, userId);
    });
    return reply(200, { recoveryCodes });
  },
});

const LogInWithMfa = z.union([
  z.strictObject({ mfaToken: z.string().min(1).max(200), code }),
  z.strictObject({ mfaToken: z.string().min(1).max(200), recoveryCode }),
]);

const logIn = publicRoute({
  method: 'post',
  path: '/auth/mfa/login',
  name: 'logInWithMfa',
  summary: 'The second step of a login: a code of the app, or a recovery code',
  description:
    'Wrong codes are counted apart from wrong passwords: a right one alone takes them back, and no password that is set by mail.',
  tags,
  body: json(LogInWithMfa),
  limit: 'auth',
  answers: { 200: Session },
  problems: [
    'mfaTokenInvalid',
    'wrongCode',
    'wrongCredentials',
    'tooManyAttempts',
    'userSuspended',
  ],
  async handler(request) {
    const { deps, body } = request;
    const user = await acrossTenants(deps.db, 'identity', async (trx) => {
      const userId = await findUserToken(trx, body.mfaToken, 'mfaLogin');
      return userId === null ? undefined : User.query(trx).findById(userId);
    });
    if (user === undefined) {
      throw tokenOver();
    }
    const { email, id: userId } = user;
    const found = await findSubject(request, email);
    const subject = factorSubjectOf(deps, found.subject);
    const attempt = await requireAttempt(deps, subject);
    const factor: SecondFactor =
      'code' in body ? { code: body.code } : { recoveryCode: body.recoveryCode };
    const begun = await acrossTenants(deps.db, 'identity', async (trx) => {
      await requireUnchanged(trx, user);
      if (!(await takeSecondFactor(trx, deps.sealing, { userId, factor, at: new Date() }))) {
        return null;
      }
      if ((await takeUserToken(trx, body.mfaToken, 'mfaLogin')) === null) {
        throw tokenOver();
      }
      await clearAttempts(trx, [subject, found.subject]);
      if ('recoveryCode' in factor) {
        await audit(
          trx,
          auditOf(request, {
            action: 'user.recoveryCodeUsed',
            tenantId: await firstTenantOf(trx, userId),
            actor: { kind: 'user', id: userId },
            target: { kind: 'user', id: userId },
          }),
        );
      }
      return beginSession(trx, request, { user });
    });
    if (begun === null) {
      await rememberFailure(request, { userId, email, attempt });
      throw wrongCode('unauthenticated');
    }
    return reply(200, presentBegun(begun, deps));
  },
});

export const mfaRoutes = [enroll, verify, disable, renewCodes, logIn];

/** Said alike of a code that was never right and of one that was shown before. */
export function wrongCode(kind: 'unauthenticated' | 'forbidden'): AppError {
  return new AppError(
    kind,
    kind === 'forbidden' ? 'codeRefused' : 'wrongCode',
    'The code is not right, or was used; wait for the next one.',
  );
}

function tokenOver(): AppError {
  return new AppError('unauthenticated', 'mfaTokenInvalid', 'The login is over; begin it again.');
}

function notEnabled(): AppError {
  return conflict('mfaNotEnabled', 'You have no second factor.');
}
