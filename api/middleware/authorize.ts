import { AppError } from '../../domain/errors';
import { isOwnAction, isTenantAction, type Permission } from '../../domain/identity/permissions';
import type { ApiMiddleware, Restriction } from '../context';

/** Lets on who has the permission; others are told which one is missing. */
export function authorize(permission: Permission): ApiMiddleware {
  return async (context, next) => {
    const { principal } = context.state;
    if (principal?.permissions.has(permission) === true) {
      await next();
      return;
    }
    const restriction = principal?.restriction ?? null;
    if (restriction !== null && !isOwnAction(permission)) {
      throw new AppError('forbidden', restriction, restrictions[restriction]);
    }
    if (isTenantAction(permission) && principal?.tenantId === null) {
      throw new AppError('forbidden', 'tenantMissing', 'Switch to a tenant first.');
    }
    throw new AppError('forbidden', 'forbidden', `This needs the permission ${permission}.`);
  };
}

const restrictions: Record<Restriction, string> = {
  tenantSuspended: 'This tenant is suspended; ask support, or switch to another one.',
  passwordExpired: 'This password was given for one use: choose one of your own first.',
};
