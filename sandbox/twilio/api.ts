import type { IncomingMessage, ServerResponse } from 'node:http';
import { answer } from '../exchange';
import type { Intake } from '../intake';
import type { Reply } from '../sendingEndpoint';
import type { Accounts } from './accounts';
import { createMessageEndpoint, refuseByAccount } from './createMessage';
import { refusal } from './errors';
import { listMessages, readMessage } from './readMessages';

export const API_PATH = '/2010-04-01/';

/** Everything under the vendor's API path. */
export function createTwilioApi(intake: Intake, accounts: Accounts) {
  const createMessage = createMessageEndpoint(intake, accounts);

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://sandbox');
    const [, accountSid = '', , sid] =
      /^\/2010-04-01\/Accounts\/([^/]+)\/Messages(\/([^/]+))?\.json$/.exec(url.pathname) ?? [];
    if (request.method === 'POST' && accountSid !== '' && sid === undefined) {
      await createMessage(request, response);
      return;
    }
    const { status, body, headers } =
      refuseByAccount(request, accounts) ?? (await read(request.method, accountSid, sid, url));
    answer(response, status, body, headers);
  };

  async function read(
    method: string | undefined,
    accountSid: string,
    sid: string | undefined,
    url: URL,
  ): Promise<Reply> {
    if (accountSid === '') {
      return refusal(20404);
    }
    if (method !== 'GET') {
      return refusal(20004);
    }
    return sid === undefined
      ? listMessages(intake, accountSid, url.searchParams)
      : readMessage(intake, accountSid, sid);
  }
}
