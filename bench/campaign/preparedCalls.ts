import { readFileSync } from 'node:fs';
import type { ActivityDeps } from '../../activities/deps';
import { openSendGrid } from '../../providers/email/sendgrid';
import { readBodies } from './bodies';
import type { BodyPlace } from './prepareBodies';

/**
 * Calls whose bodies were rendered beforehand: what is left of a lane's work is the claim, the rate,
 * the gate, the call by the vendor's client and its settlement. Plans of a tenant are alike, so the
 * bodies of one run serve another; only their addresses are looked at anew, by the gate.
 */
export function createPreparedCalls(options: {
  file: string;
  indexFile: string;
  apiKey: string;
  baseUrl: string;
}): NonNullable<ActivityDeps['writeCall']> {
  const places: BodyPlace[] = JSON.parse(readFileSync(options.indexFile, 'utf8'));
  const placeOf = new Map(places.map((place) => [place.dispatchN, place]));
  const bodies = readBodies(options.file, options.indexFile);
  const { post } = openSendGrid({
    apiKey: options.apiKey,
    baseUrl: options.baseUrl,
    timeoutMs: 15_000,
  });
  return ({ dispatch: { n } }) => {
    const place = placeOf.get(n);
    const body = bodies.get(n);
    if (place === undefined || body === undefined) {
      throw new Error(`There is no body for dispatch ${n}`);
    }
    const { messageNs, addresses } = place;
    return Promise.resolve({
      message: { subject: '', html: '', text: '' },
      draft: {
        add: () => undefined,
        send: (_, without) => {
          if (without.size > 0) {
            throw new Error(`Somebody of dispatch ${n} is to be left out of a ready body`);
          }
          return post(body, messageNs);
        },
      },
      loaded: { ns: messageNs, addresses },
      messageNs,
      ownCall: [],
      failed: [],
    });
  };
}
