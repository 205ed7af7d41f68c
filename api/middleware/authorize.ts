import { AppError } from '../../domain/errors';
import { isTenantAction, type Permission } from '../../domain/identity/permissions';
import type { ApiMiddleware } from '../context';

/** Lets on who has the permission; others are told which one is missing. */
export function authorize(permission: Permission): ApiMiddleware {
  return async (context, next) => {
    const { principal } = context.state;
    if (principal?.permissions.has(permission) === true) {
      await next();
      return;
    }
    if (isTenantAction(permission) && principal?.tenantId === null) {
      throw new AppError('forbidden', 'tenantMissing', 'Switch to a tenant first.');
    }
    throw new AppError('forbidden', 'forbidden', `This needs the permission ${permission}.`);
  };
}
