import { idWithinMinute } from '../../lib/ids';
import { acrossTenants } from '../../models/base';
import { storeEvents } from '../../models/messages/events';
import { ignoredQuery } from '../parameters';
import { publicRoute, rawAnswer, rawReply } from '../route';
import { messageOf, token } from './requests';

// One transparent pixel.
const gif = Buffer.from('R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64');

// Apple's privacy proxy fetches every image by itself and says no more of itself than this.
const machineAgent = 'Mozilla/5.0';

const loadPixel = publicRoute({
  method: 'get',
  path: '/t/o/:token',
  root: true,
  name: 'loadPixel',
  summary: 'Note the opening of a mail (once a minute) by its transparent pixel',
  description: 'Answers the pixel whatever the token is and whether or not the opening was kept.',
  tags: ['tracking'],
  params: { token },
  query: ignoredQuery,
  answers: { 200: rawAnswer('image/gif') },
  async handler({ params, context, deps }) {
    const message = messageOf(deps, params.token.replace(/\.gif$/, ''));
    if (message !== null && context.method !== 'HEAD') {
      const userAgent = context.get('User-Agent');
      const machine = userAgent === machineAgent;
      const occurredAt = new Date();
      // A machine's opening sets no fact: it must not stand in for a person's in the same minute.
      const opener = machine ? 'open by machine' : 'open';
      const seed = `${message.runId} ${message.messageN} ${opener}`;
      try {
        await acrossTenants(deps.db, 'tracking', (trx) =>
          storeEvents(trx, [
            {
              providerEventId: `open:${idWithinMinute(occurredAt, seed)}`,
              source: 'carillon',
              ...message,
              dispatchN: null,
              attempt: null,
              kind: 'opened',
              occurredAt,
              suppress: null,
              machine,
              detail: { userAgent: userAgent.slice(0, 500) },
            },
          ]),
        );
      } catch (error) {
        deps.logger.error({ requestId: context.state.requestId, err: error }, 'opening not kept');
      }
    }
    return rawReply(200, gif, {
      'Cache-Control': 'no-store, no-cache, must-revalidate, private',
      Pragma: 'no-cache',
    });
  },
});

export const openRoutes = [loadPixel];
