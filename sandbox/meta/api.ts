import type { IncomingMessage, ServerResponse } from 'node:http';
import { answer } from '../exchange';
import type { Reply } from '../sendingEndpoint';
import type { Numbers } from './accounts';
import { refusal } from './errors';
import { isMessagesPath, numberIdOf, refuseByAccount } from './paths';
import { createSendEndpoint, type MetaParts } from './sendMessage';

/** Everything under a version of the vendor's API. */
export function createMetaApi(parts: MetaParts) {
  const send = createSendEndpoint(parts);

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method === 'POST' && isMessagesPath(request)) {
      await send(request, response);
      return;
    }
    const { status, body, headers } =
      refuseByAccount(request, parts.numbers) ?? readNumber(request, parts.numbers);
    answer(response, status, body, headers);
  };
}

/** GET …/{number}, for who asks whether its token is right. */
function readNumber(request: IncomingMessage, numbers: Numbers): Reply {
  const account = numbers.get(numberIdOf(request));
  if (request.method !== 'GET' || isMessagesPath(request) || account === undefined) {
    return refusal(100, { message: `Unsupported ${request.method?.toLowerCase()} request` });
  }
  return {
    status: 200,
    body: {
      id: account.phoneNumberId,
      display_phone_number: account.displayPhoneNumber,
      verified_name: 'Sandbox',
      quality_rating: 'GREEN',
      status: 'CONNECTED',
    },
  };
}
