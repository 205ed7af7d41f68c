import type { IncomingMessage } from 'node:http';
import type { Reply } from '../sendingEndpoint';
import type { Numbers } from './accounts';
import { refusal } from './errors';

const PATH = /^\/v\d+\.\d+\/(\d+)(\/messages)?\/?(?:\?|$)/;

/** Whether an address is of the vendor's versioned API. */
export function isMetaPath(path: string): boolean {
  return /^\/v\d+\.\d+\//.test(path);
}

/** The number in the path of a request; empty when there is none. */
export function numberIdOf({ url = '' }: IncomingMessage): string {
  return PATH.exec(url)?.[1] ?? '';
}

export function isMessagesPath({ url = '' }: IncomingMessage): boolean {
  return PATH.exec(url)?.[2] !== undefined;
}

/** A token nobody has is a 401; another's number is answered as one that is not there. */
export function refuseByAccount(request: IncomingMessage, numbers: Numbers): Reply | null {
  const [, token] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  const account = numbers.get(numberIdOf(request));
  if (token === undefined || !numbers.knowsToken(token)) {
    return {
      ...refusal(190),
      headers: { 'www-authenticate': 'OAuth "Facebook Platform" "invalid_token"' },
    };
  }
  return account?.accessToken === token
    ? null
    : refusal(100, {
        message: 'Unsupported request: the object does not exist or lacks permissions',
        subcode: 33,
      });
}
