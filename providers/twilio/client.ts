import twilio from 'twilio';
import type { TwilioAccount } from './account';
import { StrictHttpClient } from './httpClient';

/** The vendor's own client for one account, which never retries, and what ends its connections. */
export function openClient(account: Omit<TwilioAccount, 'accountId'>) {
  const { accountSid, credentials, timeoutMs, baseUrl } = account;
  const httpClient = new StrictHttpClient(timeoutMs);
  const [username, password] =
    'authToken' in credentials
      ? [accountSid, credentials.authToken]
      : [credentials.apiKeySid, credentials.apiKeySecret];
  // Given empty, edge, region and log level are not looked up in the environment.
  const client = twilio(username, password, {
    accountSid,
    httpClient,
    edge: '',
    region: '',
    logLevel: '',
  });
  if (baseUrl !== undefined) {
    client.api.baseUrl = baseUrl;
  }
  return { client, close: () => httpClient.close() };
}
