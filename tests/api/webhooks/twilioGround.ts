import { createHmac } from 'node:crypto';
import type { Channel } from '../../../domain/campaigns/types';
import { newId } from '../../../lib/ids';
import { withTenant } from '../../../models/base';
import { createProviderAccount } from '../../../models/messages/accounts';
import type { ApiAnswer, TestApi } from '../../support/api';

/** What the test API is reached by in public: the signature is over this, not over where it runs. */
export const publicUrl = 'https://hooks.example';

export const sid = (digit: string) => `SM${digit.repeat(32)}`;

export interface TestAccount {
  id: string;
  tenantId: string;
  accountSid: string;
  authToken: string;
}

/** An account at Twilio of a tenant, written without HTTP. */
export async function twilioAccount(
  { deps }: TestApi,
  tenantId: string,
  {
    channel = 'sms',
    baseUrl,
    ...given
  }: { channel?: Exclude<Channel, 'email'>; baseUrl?: string } & Partial<TestAccount> = {},
): Promise<TestAccount> {
  const account = {
    id: newId(),
    tenantId,
    accountSid: `AC${'0'.repeat(31)}1`,
    authToken: newId().replaceAll('-', ''),
    ...given,
  };
  await withTenant(deps.db, tenantId, (trx) =>
    createProviderAccount(
      trx,
      deps.sealing,
      { tenantId, id: account.id },
      {
        vendor: 'twilio',
        channel,
        name: 'Texts',
        active: true,
        settings: { accountSid: account.accountSid, baseUrl },
        credentials: { authToken: account.authToken },
        senders: [{ address: '+4930000000', name: null }],
      },
      { createdBy: newId(), limitPerMinute: 0 },
    ),
  );
  return account;
}

export interface Post {
  /** With its query; the signature is over the public address of it. */
  path: string;
  fields: Record<string, string> | string;
  authToken: string;
  /** Sent in place of the right one; null for none. */
  signature?: string | null;
  headers?: Record<string, string>;
}

/** Posts a form as the vendor does. */
export function postForm(api: TestApi, post: Post): Promise<ApiAnswer> {
  const { path, fields } = post;
  const body = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString();
  const signature = post.signature === undefined ? signatureOf(post) : post.signature;
  return api.send('post', path, {
    body,
    headers: {
      'Content-Type': 'application/x-www-form-urlencoded; charset=UTF-8',
      ...(signature === null ? {} : { 'X-Twilio-Signature': signature }),
      ...post.headers,
    },
  });
}

/** As the vendor documents it: the address, then each name and value in the order of the names. */
export function signatureOf({
  path,
  fields,
  authToken,
  base = publicUrl,
}: Pick<Post, 'path' | 'fields' | 'authToken'> & { base?: string }): string {
  const form = new URLSearchParams(fields);
  const text = [...form.keys()].sort().map((name) => `${name}${form.get(name) ?? ''}`);
  return createHmac('sha1', authToken)
    .update(base + path + text.join(''))
    .digest('base64');
}
