import {
  createAccountSenders,
  type AccountSenders,
} from '../../activities/messages/accountSenders';
import type { Knex } from '../../lib/db';
import { createSealing } from '../../lib/sealing';
import { ensurePlatformAccount } from '../../models/messages/platformAccounts';

/** The key that seals the accounts of tests. */
export const testSealing = createSealing([{ id: 'test', key: Buffer.alloc(32, 7) }]);

/** The platform's account at SendGrid, as workers write it when they start. */
export function ensureTestAccount(
  db: Knex,
  options: { baseUrl?: string; limitPerMinute?: number } = {},
): Promise<void> {
  const { baseUrl, limitPerMinute = 0 } = options;
  return ensurePlatformAccount(db, testSealing, {
    id: 'sendgrid',
    channel: 'email',
    vendor: 'sendgrid',
    name: 'SendGrid',
    settings: { region: 'global', ...(baseUrl === undefined ? {} : { baseUrl }) },
    credentials: { apiKey: 'SG.test' },
    senders: [],
    active: true,
    limitPerMinute,
  });
}

/** The accounts of a test's database, opened with its key. */
export function testSenders(db: Knex, timeoutMs = 30_000): AccountSenders {
  return createAccountSenders({
    db,
    sealing: testSealing,
    timeoutMs,
    publicUrl: 'http://carillon.test',
    onlyPublic: false,
  });
}
