import { acrossTenants } from '../../models/base';
import { findSinceHandover } from '../../models/tracking/links';
import { ignoredQuery } from '../parameters';
import { publicRoute, rawAnswer, rawReply } from '../route';
import { noteEngagement } from './noteEngagement';
import { messageOf, token } from './requests';

// One transparent pixel.
const gif = Buffer.from('R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64');

const loadPixel = publicRoute({
  method: 'get',
  path: '/t/o/:token',
  root: true,
  name: 'loadPixel',
  summary:
    'Note the opening of a mail (once a minute), classed human, machine or bot, by its transparent pixel',
  description: 'Answers the pixel whatever the token is and whether or not the opening was kept.',
  tags: ['tracking'],
  params: { token },
  query: ignoredQuery,
  answers: { 200: rawAnswer('image/gif') },
  async handler({ params, context, deps }) {
    const message = messageOf(deps, params.token.replace(/\.gif$/, ''));
    if (message !== null && context.method !== 'HEAD') {
      try {
        await acrossTenants(deps.db, 'tracking', async (trx) => {
          const sinceHandoverMs = await findSinceHandover(trx, message);
          await noteEngagement(trx, context, { message, sinceHandoverMs, link: null });
        });
      } catch (error) {
        deps.logger.error({ requestId: context.state.requestId, err: error }, 'opening not kept');
      }
    }
    return rawReply(200, gif, {
      'Cache-Control': 'no-store, no-cache, must-revalidate, private',
      Pragma: 'no-cache',
      // Mail programs in a browser embed it in pages of theirs.
      'Cross-Origin-Resource-Policy': 'cross-origin',
    });
  },
});

export const openRoutes = [loadPixel];
