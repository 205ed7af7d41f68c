import { createHmac } from 'node:crypto';
import { newId } from '../../../lib/ids';
import { withTenant } from '../../../models/base';
import { createProviderAccount } from '../../../models/messages/accounts';
import { DEMO_META_ACCOUNT } from '../../../sandbox';
import type { ApiAnswer, TestApi } from '../../support/api';

export interface TestNumber {
  id: string;
  tenantId: string;
  phoneNumberId: string;
  appSecret: string;
  verifyToken: string;
}

/** A number at Meta of a tenant, written without HTTP: the stand-in's unless told otherwise. */
export async function metaAccount(
  { deps }: TestApi,
  tenantId: string,
  { baseUrl, ...given }: Partial<TestNumber> & { baseUrl?: string } = {},
): Promise<TestNumber> {
  const { accessToken, appSecret, businessAccountId, phoneNumberId, verifyToken } =
    DEMO_META_ACCOUNT;
  const number = { id: newId(), tenantId, phoneNumberId, appSecret, verifyToken, ...given };
  await withTenant(deps.db, tenantId, (trx) =>
    createProviderAccount(
      trx,
      deps.sealing,
      { tenantId, id: number.id },
      {
        vendor: 'meta',
        channel: 'whatsapp',
        name: 'WhatsApp',
        active: true,
        settings: { phoneNumberId: number.phoneNumberId, businessAccountId, baseUrl },
        credentials: {
          accessToken,
          appSecret: number.appSecret,
          verifyToken: number.verifyToken,
        },
        senders: [{ address: '+15005550006', name: null }],
      },
      { createdBy: newId(), limitPerMinute: 0 },
    ),
  );
  return number;
}

export const anySecret = () => newId().replaceAll('-', '');

/** A body as the vendor writes it, of one number. */
export function bodyOf(
  phoneNumberId: string,
  value: { statuses?: unknown[]; messages?: unknown[] },
): string {
  return JSON.stringify({
    object: 'whatsapp_business_account',
    entry: [entryOf(phoneNumberId, value)],
  });
}

export function entryOf(phoneNumberId: string, value: object): object {
  const metadata = { display_phone_number: '15005550006', phone_number_id: phoneNumberId };
  return {
    id: '200000000000001',
    changes: [{ field: 'messages', value: { messaging_product: 'whatsapp', metadata, ...value } }],
  };
}

export const wamid = () => `wamid.${newId()}`;

/** What a customer wrote. */
export function messageOf(
  from: string,
  text: string,
  given: { id?: string; at?: Date } = {},
): object {
  const { id = wamid(), at = new Date() } = given;
  const timestamp = String(Math.floor(at.getTime() / 1_000));
  return { from: from.replace('+', ''), id, timestamp, type: 'text', text: { body: text } };
}

export interface Post {
  accountId: string;
  body: string;
  appSecret: string;
  /** Sent in place of the right one; null for none. */
  signature?: string | null;
  headers?: Record<string, string>;
}

/** Posts as the vendor does: signed over the bytes of the body. */
export function postMeta(api: TestApi, post: Post): Promise<ApiAnswer> {
  const { accountId, body, appSecret } = post;
  const signature = post.signature === undefined ? signatureOf(body, appSecret) : post.signature;
  return api.send('post', `/webhooks/meta/${accountId}`, {
    body,
    headers: {
      'Content-Type': 'application/json',
      ...(signature === null ? {} : { 'X-Hub-Signature-256': signature }),
      ...post.headers,
    },
  });
}

export function signatureOf(body: string, appSecret: string): string {
  return `sha256=${createHmac('sha256', appSecret).update(body).digest('hex')}`;
}
