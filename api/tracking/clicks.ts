import { idWithinMinute } from '../../lib/ids';
import type { TrackedMessage } from '../../lib/trackingTokens';
import { acrossTenants } from '../../models/base';
import { storeEvents } from '../../models/messages/events';
import { findLink } from '../../models/tracking/links';
import type { ApiContext } from '../context';
import type { ApiDeps } from '../deps';
import { ignoredQuery } from '../parameters';
import { publicRoute, rawAnswer, rawReply } from '../route';
import { pageHeaders, unknownPage } from './pages';
import { html, linkIndex, messageOf, orLater, token } from './requests';

const followLink = publicRoute({
  method: 'get',
  path: '/t/c/:token/:index',
  root: true,
  name: 'followLink',
  summary: 'Note the click (once a minute) and lead to the address behind a link of a mail',
  description: 'Leads only to addresses that stood in the content the message was sent with.',
  tags: ['tracking'],
  params: { token, index: linkIndex },
  query: ignoredQuery,
  answers: { 302: rawAnswer('text/plain; charset=utf-8'), 404: html, 503: html },
  async handler({ params, context, deps }) {
    return orLater(context, deps, async () => {
      const message = messageOf(deps, params.token);
      const index = /^\d{1,4}$/.test(params.index) ? Number(params.index) : null;
      const url = message === null || index === null ? null : await load(deps, message, index);
      if (message === null || index === null || url === null) {
        return rawReply(404, unknownPage(), pageHeaders);
      }
      // A HEAD is a program that looks where the link leads.
      if (context.method !== 'HEAD') {
        await noteClick(context, deps, { message, index, url });
      }
      return rawReply(302, '', {
        Location: url,
        'Cache-Control': 'no-store',
        'X-Robots-Tag': 'noindex, nofollow',
      });
    });
  },
});

export const clickRoutes = [followLink];

async function load(deps: ApiDeps, message: TrackedMessage, index: number): Promise<string | null> {
  const url = await acrossTenants(deps.db, 'tracking', (trx) => findLink(trx, message, index));
  if (url === null || !URL.canParse(url)) {
    return null;
  }
  // As a browser would write it: a header holds no spaces and no letters beyond ASCII.
  const { protocol, href } = new URL(url);
  return protocol === 'https:' || protocol === 'http:' ? href : null;
}

/** The person goes on to the page whatever happens here. */
async function noteClick(
  context: ApiContext,
  deps: ApiDeps,
  click: { message: TrackedMessage; index: number; url: string },
): Promise<void> {
  const occurredAt = new Date();
  const { runId, messageN } = click.message;
  const seed = `${runId} ${messageN} link ${click.index}`;
  try {
    await acrossTenants(deps.db, 'tracking', (trx) =>
      storeEvents(trx, [
        {
          providerEventId: `click:${idWithinMinute(occurredAt, seed)}`,
          source: 'carillon',
          ...click.message,
          dispatchN: null,
          attempt: null,
          kind: 'clicked',
          occurredAt,
          suppress: null,
          machine: false,
          detail: {
            url: click.url,
            link: String(click.index),
            userAgent: context.get('User-Agent').slice(0, 500),
          },
        },
      ]),
    );
  } catch (error) {
    deps.logger.error({ requestId: context.state.requestId, err: error }, 'click not kept');
  }
}
