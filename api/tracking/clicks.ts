import { locationOf } from '../../domain/tracking/locationOf';
import type { TrackedMessage } from '../../lib/trackingTokens';
import { acrossTenants } from '../../models/base';
import { findLink } from '../../models/tracking/links';
import type { ApiContext } from '../context';
import type { ApiDeps } from '../deps';
import { ignoredQuery } from '../parameters';
import { publicRoute, rawAnswer, rawReply } from '../route';
import { noteEngagement } from './noteEngagement';
import { pageHeaders, unknownPage } from './pages';
import { html, linkIndex, messageOf, orLater, token } from './requests';
import { textsFor } from './texts';

const followLink = publicRoute({
  method: 'get',
  path: '/t/c/:token/:index',
  root: true,
  name: 'followLink',
  summary:
    'Note the click (once a minute), classed human, machine or bot, and lead to the address behind a link of a mail',
  description: 'Leads only to addresses that stood in the content the message was sent with.',
  tags: ['tracking'],
  params: { token, index: linkIndex },
  query: ignoredQuery,
  answers: { 302: rawAnswer('text/plain; charset=utf-8'), 404: html, 503: html },
  async handler({ params, context, deps }) {
    return orLater(context, deps, async () => {
      const message = messageOf(deps, params.token);
      const index = /^\d{1,4}$/.test(params.index) ? Number(params.index) : null;
      const link = message === null || index === null ? null : await load(deps, message, index);
      if (message === null || index === null || link === null) {
        return rawReply(404, unknownPage(textsFor(context)), pageHeaders);
      }
      // A HEAD is a program that looks where the link leads.
      if (context.method !== 'HEAD') {
        await noteClick(context, deps, { message, index, ...link });
      }
      return rawReply(302, '', {
        Location: link.location,
        'Cache-Control': 'no-store',
        'X-Robots-Tag': 'noindex, nofollow',
      });
    });
  },
});

export const clickRoutes = [followLink];

interface FoundLink {
  url: string;
  location: string;
  sinceHandoverMs: number | null;
}

async function load(
  deps: ApiDeps,
  message: TrackedMessage,
  index: number,
): Promise<FoundLink | null> {
  const link = await acrossTenants(deps.db, 'tracking', (trx) => findLink(trx, message, index));
  const location = link === null ? null : locationOf(link.url);
  return link === null || location === null ? null : { ...link, location };
}

/** The person goes on to the page whatever happens here. */
async function noteClick(
  context: ApiContext,
  deps: ApiDeps,
  click: FoundLink & { message: TrackedMessage; index: number },
): Promise<void> {
  const { message, sinceHandoverMs, index, url } = click;
  try {
    await acrossTenants(deps.db, 'tracking', (trx) =>
      noteEngagement(trx, context, { message, sinceHandoverMs, link: { index, url } }),
    );
  } catch (error) {
    deps.logger.error({ requestId: context.state.requestId, err: error }, 'click not kept');
  }
}
