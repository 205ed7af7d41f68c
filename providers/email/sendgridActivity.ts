import sendgridClient from '@sendgrid/client';
import type { LookUp } from '../types';
import type { SendGridConnection } from './sendgridConnection';
import type { EmailCall } from './types';

// The package exports its class as a property of a shared instance, which its own types hide.
const { Client } = sendgridClient as unknown as { Client: new () => ActivityClient };

interface ActivityClient {
  setApiKey(apiKey: string): void;
  setDataResidency(region: string): void;
  /** Whatever is given goes to axios as it is. */
  setDefaultRequest(defaults: Record<string, unknown>): void;
  request(request: {
    method: 'GET';
    url: string;
    qs: Record<string, string | number>;
  }): Promise<[{ statusCode: number }, unknown]>;
}

const maxAnswerBytes = 1024 * 1024;
const maxReasonLength = 300;

/** SendGrid's Email Activity Feed, which an account has to be licensed for. */
export interface SendGridActivity {
  /**
   * Looks for a message of the call by the arguments that it carried; one proves that the call was
   * accepted as a whole. That there is none proves nothing: the feed is behind, and forgets.
   */
  lookUp(call: EmailCall['reference']): Promise<LookUp>;
}

/** The feed by the vendor's own client. It answers six requests a minute, whoever asks. */
export function createSendGridActivity(connection: SendGridConnection): SendGridActivity {
  const client = new Client();
  client.setApiKey(connection.apiKey);
  client.setDataResidency(connection.region);
  client.setDefaultRequest({
    timeout: connection.timeoutMs,
    maxRedirects: 0,
    maxContentLength: maxAnswerBytes,
    ...(connection.baseUrl === undefined ? {} : { baseUrl: connection.baseUrl }),
  });
  return {
    async lookUp({ runId, dispatchN, attempt }) {
      const query = [
        `unique_args['carillon_r']="${runId}"`,
        `unique_args['carillon_d']="${dispatchN}.${attempt}"`,
      ];
      try {
        const [, body] = await client.request({
          method: 'GET',
          url: '/v3/messages',
          qs: { limit: 1, query: query.map((condition) => `(${condition})`).join(' AND ') },
        });
        return answerOf(body);
      } catch (error) {
        return { kind: 'unknown', reason: reasonOf(error, connection.apiKey) };
      }
    },
  };
}

function answerOf(body: unknown): LookUp {
  const messages = isObject(body) ? body['messages'] : undefined;
  if (!Array.isArray(messages)) {
    return { kind: 'unknown', reason: 'the answer is not one of SendGrid' };
  }
  const first: unknown = messages[0];
  const id = isObject(first) ? first['msg_id'] : undefined;
  if (typeof id === 'string' && id !== '') {
    // What follows the first dot is of the one message; the call was answered with the part before.
    return { kind: 'found', providerMessageId: id.split('.', 1)[0] ?? id };
  }
  return messages.length === 0
    ? { kind: 'notFound' }
    : { kind: 'unknown', reason: 'a message without an id' };
}

// The errors themselves hold the request with its key, so none of them is passed on.
function reasonOf(error: unknown, apiKey: string): string {
  const code = isObject(error) ? error['code'] : undefined;
  const reply = isObject(error) && isObject(error['response']) ? error['response'] : null;
  if (reply === null) {
    return typeof code === 'string' ? code : 'no answer';
  }
  return `status ${String(code)}: ${messageOf(reply['body'])}`
    .replaceAll(apiKey, '[key]')
    .slice(0, maxReasonLength);
}

function messageOf(body: unknown): string {
  const errors = isObject(body) ? body['errors'] : undefined;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  const message = isObject(first) ? first['message'] : undefined;
  // Postgres keeps no NUL, and a reason is one line.
  return typeof message === 'string' ? message.replace(/\p{Cc}/gu, ' ') : 'no reason given';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
