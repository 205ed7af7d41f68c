import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isDatabaseUnavailable } from '../../lib/databaseErrors';
import type { TrackedMessage } from '../../lib/trackingTokens';
import type { BodyReader } from '../bodies';
import type { ApiContext } from '../context';
import type { ApiDeps } from '../deps';
import { rawAnswer, rawReply } from '../route';
import { laterPage, pageHeaders } from './pages';
import { textsFor } from './texts';

/** A token, or anything in its place: what is wrong with it is told by a page. */
export const token = { what: 'page', schema: z.string(), isAnyText: true };

/** An index in the list of a campaign's links, or anything in its place. */
export const linkIndex = token;

// The ledger numbers messages from 1, in 32 bits with a sign.
const maxMessageN = 0x7fff_ffff;

/** The message a token is for; null when we did not make it or the ledger cannot hold such a one. */
export function messageOf(deps: ApiDeps, token: string): TrackedMessage | null {
  const message = deps.trackingTokens.verify(token);
  return message !== null && message.messageN <= maxMessageN ? message : null;
}

export const html = rawAnswer('text/html; charset=utf-8');

const emptyDigest = createHash('sha256').digest();

/**
 * A body that nobody looks at. RFC 8058 asks mail providers to post one of two forms, some post
 * nothing, and a wish to get no more mail is not to be refused for its form.
 */
export const anyBody: BodyReader<undefined> = {
  contentTypes: ['application/x-www-form-urlencoded', 'multipart/form-data'],
  schema: null,
  mayBeMissing: true,
  async read(context) {
    context.req.resume();
    return { value: undefined, digest: emptyDigest };
  },
};

/** Answers with a page for people while the records are out of reach. */
export async function orLater<T>(context: ApiContext, deps: ApiDeps, work: () => Promise<T>) {
  try {
    return await work();
  } catch (error) {
    if (!isDatabaseUnavailable(error)) {
      throw error;
    }
    const { requestId } = context.state;
    deps.logger.error({ requestId, err: error }, 'database unavailable');
    return rawReply(503, laterPage(textsFor(context)), { ...pageHeaders, 'Retry-After': '5' });
  }
}
