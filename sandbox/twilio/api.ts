import type { IncomingMessage, ServerResponse } from 'node:http';
import { answer } from '../exchange';
import type { Intake } from '../intake';
import type { Reply } from '../sendingEndpoint';
import type { Accounts } from './accounts';
import { createMessageEndpoint, refuseByAccount } from './createMessage';
import { refusal } from './errors';
import { readAccount } from './readAccount';
import { listMessages, readMessage } from './readMessages';

export const API_PATH = '/2010-04-01/';

/** Everything under the vendor's API path. */
export function createTwilioApi(intake: Intake, accounts: Accounts) {
  const createMessage = createMessageEndpoint(intake, accounts);

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://sandbox');
    const [, accountSid = '', , messages, , sid] =
      /^\/2010-04-01\/Accounts\/(\w+)((\/Messages)(\/(\w+))?)?\.json$/.exec(url.pathname) ?? [];
    if (request.method === 'POST' && messages !== undefined && sid === undefined) {
      await createMessage(request, response);
      return;
    }
    const { status, body, headers } =
      refuseByAccount(request, accounts) ??
      (await read(url, { method: request.method, accountSid, messages, sid }));
    answer(response, status, body, headers);
  };

  async function read(
    url: URL,
    asked: {
      method: string | undefined;
      accountSid: string;
      messages: string | undefined;
      sid: string | undefined;
    },
  ): Promise<Reply> {
    const { method, accountSid, messages, sid } = asked;
    if (accountSid === '') {
      return refusal(20404);
    }
    if (method !== 'GET') {
      return refusal(20004);
    }
    if (messages === undefined) {
      return readAccount(accountSid);
    }
    return sid === undefined
      ? listMessages(intake, accountSid, url.searchParams)
      : readMessage(intake, accountSid, sid);
  }
}
