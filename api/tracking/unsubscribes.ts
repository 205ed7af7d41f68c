import { acrossTenants } from '../../models/base';
import {
  findUnsubscribeOffer,
  unsubscribe,
  type Unsubscribed,
} from '../../models/tracking/unsubscribe';
import { ignoredQuery } from '../parameters';
import { publicRoute, rawReply } from '../route';
import {
  addressUnknownPage,
  confirmPage,
  pageHeaders,
  unknownPage,
  unsubscribedPage,
} from './pages';
import { anyBody, html, messageOf, orLater, token } from './requests';
import { textsFor } from './texts';

const showUnsubscribe = publicRoute({
  method: 'get',
  path: '/t/u/:token',
  root: true,
  name: 'showUnsubscribe',
  summary: 'Ask a person whether to unsubscribe',
  description: 'Changes nothing: programs that check mail follow every link in it.',
  tags: ['tracking'],
  params: { token },
  query: ignoredQuery,
  answers: { 200: html, 404: html, 503: html },
  async handler({ params, context, deps }) {
    return orLater(context, deps, async () => {
      const texts = textsFor(context);
      const message = messageOf(deps, params.token);
      const offer =
        message === null
          ? null
          : await acrossTenants(deps.db, 'tracking', (trx) => findUnsubscribeOffer(trx, message));
      if (offer === null) {
        return rawReply(404, unknownPage(texts), pageHeaders);
      }
      const page = offer.isKnown
        ? confirmPage(texts, { ...offer, token: params.token })
        : addressUnknownPage(texts);
      return rawReply(200, page, pageHeaders);
    });
  },
});

const unsubscribeByOneClick = publicRoute({
  method: 'post',
  path: '/t/u/:token',
  root: true,
  name: 'unsubscribe',
  summary: 'Unsubscribe at once (RFC 8058), by a mail program or by the button of the page',
  description:
    'Holds from the next call on. Repeating it changes nothing; it never redirects. For a customer who was removed the page says that the address is not known any more; nothing is sent to it.',
  tags: ['tracking'],
  params: { token },
  query: ignoredQuery,
  body: anyBody,
  answers: { 200: html, 404: html, 503: html },
  async handler({ params, context, deps }) {
    return orLater(context, deps, async () => {
      const texts = textsFor(context);
      const message = messageOf(deps, params.token);
      const outcome: Unsubscribed =
        message === null
          ? { kind: 'unknown' }
          : await acrossTenants(deps.db, 'tracking', (trx) =>
              unsubscribe(trx, message, new Date()),
            );
      switch (outcome.kind) {
        case 'unsubscribed':
          return rawReply(
            200,
            unsubscribedPage(texts, { channel: outcome.channel, token: params.token }),
            pageHeaders,
          );
        case 'addressUnknown':
          return rawReply(200, addressUnknownPage(texts), pageHeaders);
        case 'unknown':
          return rawReply(404, unknownPage(texts), pageHeaders);
      }
    });
  },
});

export const unsubscribeRoutes = [showUnsubscribe, unsubscribeByOneClick];
