import { classify, type Engagement } from '../../domain/tracking/classify';
import { networkOf } from '../../domain/tracking/networks';
import { idWithinMinute } from '../../lib/ids';
import type { Knex } from '../../lib/db';
import type { TrackedMessage } from '../../lib/trackingTokens';
import { storeEvents } from '../../models/messages/events';
import type { ApiContext } from '../context';

interface Noted {
  message: TrackedMessage;
  sinceHandoverMs: number | null;
  /** The link that was followed; null for the pixel. */
  link: { index: number; url: string } | null;
}

/**
 * Keeps who opened or clicked, as an event, once a minute for each class (and for clicks, link and
 * program), so that a program never stands in for a person. The address it came from decides about
 * the class and is not kept.
 */
export async function noteEngagement(
  trx: Knex.Transaction,
  context: ApiContext,
  { message, sinceHandoverMs, link }: Noted,
): Promise<void> {
  const userAgent = context.get('User-Agent').slice(0, 500);
  const kind = link === null ? 'opened' : 'clicked';
  const verdict = classify(engagementOf(context, { kind, userAgent, sinceHandoverMs }));
  const occurredAt = new Date();
  const { runId, messageN } = message;
  const what = link === null ? 'open' : `link ${link.index} ${userAgent}`;
  const seed = `${runId} ${messageN} ${verdict.class} ${what}`;
  await storeEvents(trx, [
    {
      providerEventId: `${link === null ? 'open' : 'click'}:${idWithinMinute(occurredAt, seed)}`,
      source: 'carillon',
      ...message,
      dispatchN: null,
      attempt: null,
      kind,
      occurredAt,
      suppress: null,
      machine: verdict.class !== 'human',
      detail: {
        ...(link === null ? {} : { url: link.url, link: String(link.index) }),
        userAgent,
        ...verdict,
      },
    },
  ]);
}

function engagementOf(
  context: ApiContext,
  known: Pick<Engagement, 'kind' | 'userAgent' | 'sinceHandoverMs'>,
): Engagement {
  return {
    ...known,
    method: context.method,
    purposes: purposeHeaders.map((name) => context.get(name)),
    network: networkOf(context.ip),
    isMachineByProvider: false,
  };
}

const purposeHeaders = ['Sec-Purpose', 'Purpose', 'X-Purpose', 'X-Moz'];
