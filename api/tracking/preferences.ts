import { preferenceChannels, type PreferenceChannel } from '../../domain/tracking/preferences';
import { acrossTenants } from '../../models/base';
import {
  findPreferences,
  savePreferences,
  type Preferences,
  type PreferenceWish,
} from '../../models/tracking/preferences';
import { bytes } from '../bodies';
import type { ApiContext } from '../context';
import { ignoredQuery } from '../parameters';
import { publicRoute, rawReply } from '../route';
import { addressUnknownPage, pageHeaders, preferencesPage, unknownPage } from './pages';
import { html, messageOf, orLater, token } from './requests';
import { textsFor } from './texts';

const limitBytes = 4 * 1024;

const showPreferences = publicRoute({
  method: 'get',
  path: '/t/p/:token',
  root: true,
  name: 'showPreferences',
  summary: 'Show a person which channels they are written to on',
  description: 'Changes nothing: programs that check mail follow every link in it.',
  tags: ['tracking'],
  params: { token },
  query: ignoredQuery,
  answers: { 200: html, 404: html, 503: html },
  async handler({ params, context, deps }) {
    return orLater(context, deps, async () => {
      const message = messageOf(deps, params.token);
      const preferences =
        message === null
          ? null
          : await acrossTenants(deps.db, 'tracking', (trx) => findPreferences(trx, message));
      return answer(context, preferences, null);
    });
  },
});

const changePreferences = publicRoute({
  method: 'post',
  path: '/t/p/:token',
  root: true,
  name: 'changePreferences',
  summary: 'Save which channels a person may be written to on, from the next call on',
  description:
    'A form: `do` is save (`offered` names the channels that were shown, `on` those of them to turn on), allOff, or undo (for each channel off, or the consent it had). Off suppresses the address and withdraws the consent; on lifts only what the person asked for before. Anything else changes nothing and shows the page.',
  tags: ['tracking'],
  params: { token },
  query: ignoredQuery,
  body: {
    ...bytes({ types: ['application/x-www-form-urlencoded'], limitBytes }),
    mayBeMissing: true,
  },
  answers: { 200: html, 404: html, 503: html },
  async handler({ params, body, context, deps }) {
    const wishes = readWishes(new URLSearchParams(body.toString('utf8')));
    return orLater(context, deps, async () => {
      const message = messageOf(deps, params.token);
      if (message === null) {
        return answer(context, null, null);
      }
      return acrossTenants(deps.db, 'tracking', async (trx) => {
        const before =
          wishes.length === 0
            ? null
            : await savePreferences(trx, message, { wishes, at: new Date() });
        return answer(context, await findPreferences(trx, message), before);
      });
    });
  },
});

export const preferenceRoutes = [showPreferences, changePreferences];

function answer(context: ApiContext, now: Preferences | null, before: Preferences | null) {
  const texts = textsFor(context);
  if (now === null) {
    return rawReply(404, unknownPage(texts), pageHeaders);
  }
  const page =
    now.channels.length === 0 ? addressUnknownPage(texts) : preferencesPage(texts, now, before);
  return rawReply(200, page, pageHeaders);
}

const readers: Readonly<
  Record<string, (form: URLSearchParams, channel: PreferenceChannel) => PreferenceWish | null>
> = {
  save(form, channel) {
    // A switch that the page did not offer was not turned off.
    if (!form.getAll('offered').includes(channel)) {
      return null;
    }
    return form.getAll('on').includes(channel)
      ? { channel, isOn: true, consent: 'granted' }
      : { channel, isOn: false };
  },
  allOff: (_, channel) => ({ channel, isOn: false }),
  undo(form, channel) {
    const state = form.get(channel);
    if (state === 'granted' || state === 'unknown') {
      return { channel, isOn: true, consent: state };
    }
    return state === 'off' ? { channel, isOn: false } : null;
  },
};

function readWishes(form: URLSearchParams): PreferenceWish[] {
  const action = form.get('do') ?? '';
  const read = Object.hasOwn(readers, action) ? readers[action] : undefined;
  return read === undefined
    ? []
    : preferenceChannels.flatMap((channel) => read(form, channel) ?? []);
}
