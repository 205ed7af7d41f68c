import type { Channel } from '../../domain/campaigns/types';
import type { NewAccountValues } from '../../models/messages/accountCredentials';
import { createProviderAccount, makeDefault } from '../../models/messages/accounts';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { DEMO_META_ACCOUNT, DEMO_TWILIO_ACCOUNT } from '../../sandbox';
import type { ProcessGround } from './ground';

/** By what a campaign under fire leaves. */
export const routes = ['sendgrid', 'smtp', 'twilio', 'meta'] as const;
export type Route = (typeof routes)[number];

export const channelOf: Record<Route, Channel> = {
  sendgrid: 'email',
  smtp: 'email',
  twilio: 'sms',
  meta: 'whatsapp',
};

/** Gives a tenant an account of its own in the sandbox; SendGrid's is the platform's. */
export async function openAccount(
  ground: Pick<ProcessGround, 'db' | 'sealing' | 'sandboxUrl' | 'smtpPort' | 'metaAccountId'>,
  tenantId: string,
  route: Route,
): Promise<void> {
  if (route === 'sendgrid') {
    return;
  }
  const id = route === 'meta' ? ground.metaAccountId : newId();
  await withTenant(ground.db, tenantId, async (trx) => {
    await createProviderAccount(trx, ground.sealing, { tenantId, id }, valuesOf(ground, route), {
      createdBy: newId(),
      limitPerMinute: 0,
    });
    await makeDefault(trx, { tenantId, id });
  });
}

function valuesOf(
  { sandboxUrl, smtpPort }: Pick<ProcessGround, 'sandboxUrl' | 'smtpPort'>,
  route: Exclude<Route, 'sendgrid'>,
): NewAccountValues {
  const shared = { name: 'Chaos', active: true };
  switch (route) {
    case 'smtp':
      return {
        ...shared,
        channel: 'email',
        vendor: 'smtp',
        settings: { host: '127.0.0.1', port: smtpPort, security: 'none' },
        credentials: { username: 'carillon', password: 'sandbox' },
        senders: [],
      };
    case 'twilio':
      return {
        ...shared,
        channel: 'sms',
        vendor: 'twilio',
        settings: { accountSid: DEMO_TWILIO_ACCOUNT.accountSid, baseUrl: sandboxUrl },
        credentials: { authToken: DEMO_TWILIO_ACCOUNT.authToken },
        senders: [{ address: '+15005550006', name: null }],
      };
    case 'meta':
      return {
        ...shared,
        channel: 'whatsapp',
        vendor: 'meta',
        settings: {
          phoneNumberId: DEMO_META_ACCOUNT.phoneNumberId,
          businessAccountId: DEMO_META_ACCOUNT.businessAccountId,
          baseUrl: sandboxUrl,
        },
        credentials: {
          accessToken: DEMO_META_ACCOUNT.accessToken,
          appSecret: DEMO_META_ACCOUNT.appSecret,
          verifyToken: DEMO_META_ACCOUNT.verifyToken,
        },
        senders: [],
      };
  }
}
