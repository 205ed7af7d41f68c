import { isIP } from 'node:net';
import type {
  ConnectionOutcome,
  OpenedAccount,
  VendorCredentials,
  VendorSettings,
} from '../domain/messages/accounts/types';
import { publicAddresses } from '../lib/publicHosts';
import { testSendGrid } from '../providers/email/sendgridConnection';
import { testSmtp } from '../providers/email/smtpConnection';
import { testMeta } from '../providers/meta/connection';
import { testTwilio } from '../providers/twilio/connection';
import { secretsOf, withoutSecrets } from '../providers/withoutSecrets';

/** Asks vendors whether an account's credentials may send; nothing is sent by it. */
export interface ConnectionTests {
  /** Never rejects because of the vendor. */
  test(account: OpenedAccount): Promise<ConnectionOutcome>;
}

export interface ConnectionTestOptions {
  timeoutMs: number;
  /** Connect to no address of our own network, whatever name leads there. */
  onlyPublic: boolean;
}

/**
 * Calls vendors from this very process: a test carries no message, changes nothing, may be repeated
 * and has somebody waiting for it, so a workflow would keep nothing that the account's row does not.
 */
export function createConnectionTests(options: ConnectionTestOptions): ConnectionTests {
  return {
    async test(account) {
      const outcome = await ask(account, options);
      return outcome.kind === 'accepted'
        ? outcome
        : { ...outcome, reason: withoutSecrets(outcome.reason, secretsOf(account)) };
    },
  };
}

function ask(
  { vendor, settings, credentials }: OpenedAccount,
  options: ConnectionTestOptions,
): Promise<ConnectionOutcome> {
  switch (vendor) {
    case 'sendgrid':
      return testSendGrid({ ...settings, ...credentials, timeoutMs: options.timeoutMs });
    case 'smtp':
      return testMailServer(settings, credentials, options);
    case 'twilio':
      return testTwilioAccount(settings, credentials, options);
    case 'meta':
      return testMetaAccount(settings, credentials, options);
  }
}

function testTwilioAccount(
  { accountSid, baseUrl }: VendorSettings['twilio'],
  credentials: VendorCredentials['twilio'],
  { timeoutMs }: ConnectionTestOptions,
): Promise<ConnectionOutcome> {
  return testTwilio({
    accountSid,
    credentials,
    timeoutMs,
    ...(baseUrl === undefined ? {} : { baseUrl }),
  });
}

function testMetaAccount(
  { phoneNumberId, apiVersion, baseUrl }: VendorSettings['meta'],
  { accessToken }: VendorCredentials['meta'],
  { timeoutMs }: ConnectionTestOptions,
): Promise<ConnectionOutcome> {
  return testMeta({
    phoneNumberId,
    accessToken,
    timeoutMs,
    ...(apiVersion === undefined ? {} : { apiVersion }),
    ...(baseUrl === undefined ? {} : { baseUrl }),
  });
}

async function testMailServer(
  { host, port, security }: VendorSettings['smtp'],
  { username, password }: VendorCredentials['smtp'],
  { timeoutMs, onlyPublic }: ConnectionTestOptions,
): Promise<ConnectionOutcome> {
  const found = onlyPublic ? await publicAddresses(host) : { addresses: [host] as const };
  if ('problem' in found) {
    return { kind: 'unreachable', reason: reasons[found.problem] };
  }
  return testSmtp({
    host: found.addresses[0],
    port,
    security,
    // The certificate is the name's, whichever of its addresses is called.
    ...(isIP(host) === 0 ? { tls: { servername: host } } : {}),
    auth: { user: username, password },
    connectionTimeoutMs: timeoutMs,
    greetingTimeoutMs: timeoutMs,
    socketTimeoutMs: timeoutMs,
  });
}

const reasons = {
  notPublic: 'the host is not one of the public internet',
  unknown: 'the host has no address',
} as const;
