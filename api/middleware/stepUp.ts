import { AppError } from '../../domain/errors';
import type { ApiMiddleware, Principal } from '../context';

/** How long after it was shown a second factor, or the password, is good for what is dangerous. */
export const stepUpMinutes = 10;

/** Lets on a person who has just shown that it is them; an access token alone may have been stolen. */
export const requireStepUp: ApiMiddleware = async (context, next) => {
  const { principal } = context.state;
  if (principal === undefined || !isSteppedUp(principal)) {
    throw new AppError(
      'forbidden',
      'stepUpRequired',
      'Show again that it is you: POST /auth/step-up, then repeat the request.',
    );
  }
  await next();
};

// Whoever acts as somebody, and a key, cannot show what only that person has.
function isSteppedUp({ kind, impersonatorId, mfaAt }: Principal): boolean {
  return (
    kind === 'user' &&
    impersonatorId === null &&
    mfaAt !== null &&
    mfaAt.getTime() > Date.now() - stepUpMinutes * 60_000
  );
}
