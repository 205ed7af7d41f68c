import { AppError } from '../../domain/errors';
import type { AccountChannel } from '../../domain/messages/accounts/types';
import type { Config } from '../../lib/config';
import type { Knex } from '../../lib/db';
import { resolveAccount } from '../../models/messages/accounts';
import type { Principal } from '../context';

/**
 * Refuses to send for somebody who has not shown that their address is theirs, unless all that is sent
 * ends in the sandbox: else whoever makes up an address could write to the world in its name.
 *
 * @throws forbidden emailNotVerified
 */
export async function requireVerified(
  trx: Knex.Transaction,
  {
    deps,
    principal,
    tenantId,
  }: { deps: { readonly config: Config }; principal: Principal; tenantId: string },
  channel: AccountChannel,
): Promise<void> {
  if (principal.isEmailVerified) {
    return;
  }
  const account = await resolveAccount(trx, tenantId, channel);
  // The platform's account for mail is written by the first worker that starts, maybe after us.
  const address = account === null ? deps.config.SENDGRID_BASE_URL : addressOf(account.settings);
  if (!isSandbox(deps.config, address)) {
    throw new AppError(
      'forbidden',
      'emailNotVerified',
      'Show that your address is yours first: by the link in our mail, or POST /auth/verify-email/resend for another one.',
    );
  }
}

/** Where an account calls to, when it is not its vendor's own address. */
function addressOf(settings: object): string | undefined {
  if ('baseUrl' in settings && typeof settings.baseUrl === 'string') {
    return settings.baseUrl;
  }
  return 'host' in settings && typeof settings.host === 'string'
    ? `smtp://${settings.host}`
    : undefined;
}

// The sandbox is on this machine, and in development alone: in production that would be a relay.
function isSandbox({ NODE_ENV }: Config, address: string | undefined): boolean {
  if (NODE_ENV === 'production' || address === undefined || !URL.canParse(address)) {
    return false;
  }
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(new URL(address).hostname);
}
