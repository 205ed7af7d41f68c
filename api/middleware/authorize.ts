import { AppError } from '../../domain/errors';
import { isAllowed, type Permission } from '../../domain/identity/permissions';
import type { ApiMiddleware } from '../context';

/** Lets on who has the permission; others are told which one is missing. */
export function authorize(permission: Permission): ApiMiddleware {
  return async (context, next) => {
    const { principal } = context.state;
    if (principal === undefined || !isAllowed(principal.role, permission)) {
      throw new AppError('forbidden', 'forbidden', `This needs the permission ${permission}.`);
    }
    await next();
  };
}
