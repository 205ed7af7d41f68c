import { invalidField } from '../../domain/errors';
import { forbiddenSetting, type OpenedAccount } from '../../domain/messages/accounts/types';
import type { Config } from '../../lib/config';
import { publicAddresses } from '../../lib/publicHosts';

/**
 * Refuses settings that would make us call into our own network. A host is looked up here so that
 * its author hears of it at once; it may point elsewhere later, so the provider checks the address
 * it connects to as well.
 */
export async function requireCallable(
  { settings }: Pick<OpenedAccount, 'settings'>,
  config: Pick<Config, 'NODE_ENV'>,
): Promise<void> {
  const forbidden = forbiddenSetting(settings, { mayBeLocal: config.NODE_ENV === 'development' });
  if (forbidden !== null) {
    throw invalidField(forbidden.path, forbidden.code, forbidden.message);
  }
  if ('host' in settings && config.NODE_ENV === 'production') {
    const found = await publicAddresses(settings.host);
    if ('problem' in found) {
      const { code, message } = hostProblems[found.problem];
      throw invalidField('settings.host', code, message);
    }
  }
}

const hostProblems = {
  notPublic: { code: 'hostNotPublic', message: 'Is not a host of the public internet.' },
  unknown: { code: 'hostUnknown', message: 'Has no address.' },
} as const;
