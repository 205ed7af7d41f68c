import type { Knex } from '../../lib/db';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { ensurePlatformAccount } from '../../models/messages/platformAccounts';
import { apiKey } from './content';
import { sealingKeys } from './ground';

/** The platform's account at SendGrid, as workers write it when they start; `baseUrl` is the sandbox. */
export async function ensureBenchAccount(db: Knex, baseUrl: string): Promise<void> {
  await ensurePlatformAccount(db, createSealing(parseSealingKeys(sealingKeys)), {
    id: 'sendgrid',
    channel: 'email',
    vendor: 'sendgrid',
    name: 'SendGrid',
    settings: { region: 'global', baseUrl },
    credentials: { apiKey },
    senders: [],
    active: true,
    limitPerMinute: 0,
  });
}
