import type { Reply } from '../sendingEndpoint';

/** GET /2010-04-01/Accounts/{Sid}.json, for who asks whether its credentials are right. */
export function readAccount(accountSid: string): Reply {
  return {
    status: 200,
    body: {
      sid: accountSid,
      friendly_name: 'Sandbox',
      owner_account_sid: accountSid,
      status: 'active',
      type: 'Full',
      uri: `/2010-04-01/Accounts/${accountSid}.json`,
    },
  };
}
