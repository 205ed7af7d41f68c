import http from 'node:http';
import https from 'node:https';
import sendgridClient from '@sendgrid/client';
import Mail from '@sendgrid/helpers/classes/mail';
import sendgridMail from '@sendgrid/mail';
import axios, { type InternalAxiosRequestConfig } from 'axios';
import { jsonText } from '../../domain/messages/jsonText';
import { MailBody, SpareBodies } from './mailBody';
import type { EmailCall, EmailDraft, EmailOutcome, EmailProvider, EmailRecipient } from './types';
import { reasonIn } from '../vendorText';

export interface SendGridOptions {
  accountId: string;
  apiKey: string;
  baseUrl?: string;
  /** A call without an answer after this is in doubt; keep it well below the lease. */
  timeoutMs: number;
}

const retryWithoutHintMs = 5_000;

// Of the process, not of an account: there may be as many of these as tenants.
const spare = new SpareBodies();

// The packages export their classes as properties of a shared instance, which their own types hide.
// One client an account, never the shared one: its key would be everybody's.
const { Client } = sendgridClient as unknown as {
  Client: new () => RawClient;
};
const { MailService } = sendgridMail as unknown as {
  MailService: new () => {
    setClient(client: RawClient): void;
    send(mail: Mail): Promise<[{ statusCode: number; headers: unknown }, unknown]>;
  };
};

/** SendGrid v3 through its own client, which never retries: a call is made once. */
export function createSendGrid(options: SendGridOptions): EmailProvider {
  const { post, hasLeft } = openSendGrid(options);
  // A body begins with the room that the last one took.
  let usualLength = 4_096;
  return {
    accountId: options.accountId,
    maxRecipients: 1000,
    draft,
    send(call) {
      const whole = draft();
      for (const recipient of call.recipients) {
        whole.add(recipient);
      }
      return whole.send(call, new Set());
    },
  };

  function draft(): EmailDraft {
    const body = new MailBody(usualLength, spare);
    let canUnsubscribe = false;
    return {
      add(recipient) {
        canUnsubscribe ||= recipient.unsubscribeUrl !== null;
        body.add(recipient.messageN, personalizationJson(recipient));
      },
      async send(message, without) {
        const finished = body.finish(sharedJson(message, canUnsubscribe), without);
        usualLength = finished.bytes.length;
        const outcome = await post(finished.bytes, finished.messageNs);
        if (hasLeft(finished.bytes)) {
          spare.giveBack(finished.memory);
        }
        return outcome;
      },
    };
  }
}

/**
 * The vendor's client for calls whose bodies are ready; `messageNs` says whose place is which.
 * `hasLeft` tells of a body that the vendor took and that nobody reads any more: a reply alone may come
 * before the last byte is written.
 */
export function openSendGrid(options: Omit<SendGridOptions, 'accountId'>) {
  const client = new Client();
  client.setApiKey(options.apiKey);
  const left = new WeakSet<object>();
  const call = axios.getAdapter('http');
  const defaults: Record<string, unknown> = {
    timeout: options.timeoutMs,
    httpAgent: new http.Agent({ keepAlive: true }),
    httpsAgent: new https.Agent({ keepAlive: true }),
    maxRedirects: 0,
    // The body is JSON text already; parsing and writing it again would triple its cost.
    transformRequest: [(body: ReadyBody) => body.bytes],
    adapter: async (config: InternalAxiosRequestConfig<Buffer>) => {
      const response = await call(config);
      const request: unknown = response.request;
      if (request instanceof http.ClientRequest && request.writableFinished && config.data) {
        left.add(config.data);
      }
      return response;
    },
    // After setApiKey, which sets the vendor's own address.
    ...(options.baseUrl === undefined ? {} : { baseUrl: options.baseUrl }),
  };
  client.setDefaultRequest(defaults);
  const service = new MailService();
  service.setClient(client);
  return { post, hasLeft: (bytes: Buffer) => left.has(bytes) };

  async function post(bytes: Buffer, messageNs: number[]): Promise<EmailOutcome> {
    try {
      const [response] = await service.send(readyMail(bytes));
      return accepted(response);
    } catch (error) {
      return classify(error, messageNs);
    }
  }
}

interface RawClient {
  setApiKey(apiKey: string): void;
  /** Whatever is given goes to axios as it is. */
  setDefaultRequest(defaults: Record<string, unknown>): void;
}

interface ReadyBody {
  bytes: Buffer;
}

/** A mail whose JSON is ready: the client's own builder costs 22 ms of CPU for 1,000 recipients. */
function readyMail(bytes: Buffer): Mail {
  return Object.assign(new Mail(), { toJSON: (): ReadyBody => ({ bytes }) });
}

/** All of a request but its recipients, from the comma on. */
function sharedJson(call: Omit<EmailCall, 'recipients'>, canUnsubscribe: boolean): string {
  const { runId, dispatchN, attempt } = call.reference;
  const shared = JSON.stringify({
    from: named(call.from.email, call.from.name),
    ...(call.replyTo === null ? {} : { reply_to: { email: call.replyTo } }),
    subject: call.subject,
    content: [
      // An empty part is refused.
      ...(call.text === '' ? [] : [{ type: 'text/plain', value: call.text }]),
      { type: 'text/html', value: call.html },
    ],
    custom_args: { carillon_r: runId, carillon_d: `${dispatchN}.${attempt}` },
    ...(canUnsubscribe
      ? { headers: { 'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click' } }
      : {}),
    // We rewrite links and place the pixel ourselves, so that the preview equals the delivery.
    tracking_settings: {
      click_tracking: { enable: false, enable_text: false },
      open_tracking: { enable: false },
      subscription_tracking: { enable: false },
    },
    ...(call.dryRun === true ? { mail_settings: { sandbox_mode: { enable: true } } } : {}),
  });
  return `,${shared.slice(1)}`;
}

// The vendor takes a comma or a semicolon in a name for the end of the address; a line break would
// begin another header.
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const unfitForName = /[;,\u0000-\u001f\u007f]/g;

function personalizationJson({
  messageN,
  email,
  name,
  substitutionsJson,
  unsubscribeUrl,
  isPlain,
}: EmailRecipient): string {
  if (isPlain === true && name !== null && unsubscribeUrl !== null) {
    return `{"to":[{"email":"${email}","name":"${name}"}],"substitutions":${substitutionsJson},"headers":{"List-Unsubscribe":"<${unsubscribeUrl}>"},"custom_args":{"carillon_m":"${messageN}"}}`;
  }
  const named = name === null ? '' : `,"name":${jsonText(name.replace(unfitForName, ' '))}`;
  const headers =
    unsubscribeUrl === null
      ? ''
      : `,"headers":{"List-Unsubscribe":${jsonText(`<${unsubscribeUrl}>`)}}`;
  return `{"to":[{"email":${jsonText(email)}${named}}],"substitutions":${substitutionsJson}${headers},"custom_args":{"carillon_m":"${messageN}"}}`;
}

function named(email: string, name: string | null) {
  return name === null ? { email } : { email, name };
}

function accepted(response: { statusCode: number; headers: unknown }): EmailOutcome {
  return {
    kind: 'accepted',
    status: response.statusCode,
    providerMessageId: header(response.headers, 'x-message-id'),
  };
}

// Errors of the way to the vendor, before a byte of the request can have left.
const neverLeft = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_INVALID_URL',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

function classify(error: unknown, messageNs: number[]): EmailOutcome {
  const reply = replyOf(error);
  if (reply === null) {
    const code = codeOf(error);
    return neverLeft.has(code)
      ? { kind: 'notSent', status: null, reason: code, retryAfterMs: retryWithoutHintMs }
      : { kind: 'inDoubt', status: null, reason: code };
  }
  const { status, errors } = reply;
  const reason = errors[0]?.message ?? `status ${status}`;
  if (status === 429) {
    return { kind: 'throttled', status, reason, retryAfterMs: retryAfterMs(reply.headers) };
  }
  if (status === 503 && header(reply.headers, 'retry-after') !== null) {
    // RFC 9110 15.6.4: with Retry-After the server says it did not handle the request.
    return { kind: 'notSent', status, reason, retryAfterMs: retryAfterMs(reply.headers) };
  }
  if (status >= 500) {
    return { kind: 'inDoubt', status, reason };
  }
  if (status === 401 || status === 403) {
    return { kind: 'messageRefused', status, reason };
  }
  const refused = refusedRecipients(errors, messageNs);
  if (refused.length > 0) {
    return { kind: 'recipientsRefused', status, reason, messageNs: refused };
  }
  const ofTheMessage = errors.some((item) => item.field !== null);
  return { kind: ofTheMessage ? 'messageRefused' : 'refused', status, reason };
}

/** The messages that every error names; none if any error is of something else. */
function refusedRecipients(errors: VendorError[], messageNs: number[]): number[] {
  const refused = new Set<number>();
  for (const item of errors) {
    const index = /^personalizations\.(\d+)\./.exec(item.field ?? '')?.[1];
    const messageN = index === undefined ? undefined : messageNs[Number(index)];
    if (messageN === undefined) {
      return [];
    }
    refused.add(messageN);
  }
  return [...refused];
}

interface VendorError {
  message: string;
  field: string | null;
}

interface Reply {
  status: number;
  headers: unknown;
  errors: VendorError[];
}

function replyOf(error: unknown): Reply | null {
  if (!isObject(error) || !isObject(error.response) || typeof error.code !== 'number') {
    return null;
  }
  const { headers, body } = error.response;
  return { status: error.code, headers, errors: vendorErrors(body) };
}

function vendorErrors(body: unknown): VendorError[] {
  const list = isObject(body) && Array.isArray(body.errors) ? body.errors : [];
  return list.filter(isObject).map((item) => ({
    message: typeof item.message === 'string' ? reasonIn(item.message) : 'unnamed error',
    field: typeof item.field === 'string' ? item.field : null,
  }));
}

function codeOf(error: unknown): string {
  if (isObject(error) && typeof error.code === 'string') {
    return error.code;
  }
  return error instanceof Error ? error.name : 'unknown';
}

function retryAfterMs(headers: unknown): number {
  const retryAfter = header(headers, 'retry-after');
  const seconds = Number(retryAfter);
  if (retryAfter !== null && Number.isFinite(seconds)) {
    return Math.max(seconds, 0) * 1000;
  }
  const reset = Number(header(headers, 'x-ratelimit-reset') ?? Number.NaN);
  return Number.isFinite(reset) ? Math.max(reset * 1000 - Date.now(), 1000) : retryWithoutHintMs;
}

function header(headers: unknown, name: string): string | null {
  const value = isObject(headers) ? headers[name] : undefined;
  return typeof value === 'string' ? value : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
