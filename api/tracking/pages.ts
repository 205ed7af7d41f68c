import { createHash } from 'node:crypto';
import { maskAddress } from '../../domain/tracking/maskAddress';
import type { PreferenceChannel } from '../../domain/tracking/preferences';
import type { ChannelPreference, Preferences } from '../../models/tracking/preferences';
import type { Texts } from './texts';
import { escapeHtml, htmlPage } from '../html';

const style = `
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.5 system-ui, sans-serif; }
main { box-sizing: border-box; width: 100%; max-width: 30rem; padding: 2rem 1.5rem; text-align: center; overflow-wrap: anywhere; }
h1 { font-size: 1.375rem; line-height: 1.3; }
button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: 0.75rem 1.5rem; border: 2px solid #1d4ed8; border-radius: 0.5rem; background: #1d4ed8; color: #fff; cursor: pointer; }
button.plain { background: Canvas; color: CanvasText; border-color: GrayText; }
a { color: LinkText; display: inline-block; padding: 0.625rem 0; }
:focus-visible { outline: 3px solid #f59e0b; outline-offset: 3px; }
fieldset { border: 1px solid GrayText; border-radius: 0.5rem; margin: 1.5rem 0; padding: 0.5rem 1rem; text-align: start; }
legend { padding: 0 0.375rem; font-weight: 600; }
label { display: flex; gap: 0.75rem; align-items: flex-start; min-height: 2.75rem; padding: 0.375rem 0; }
input { width: 1.5rem; height: 1.5rem; margin: 0.125rem 0 0; flex: none; }
small { display: block; font-size: 0.875rem; }
[role=status] { border: 2px solid #15803d; border-radius: 0.5rem; padding: 0.75rem 1rem; margin-bottom: 1.5rem; }
[role=status] p { margin: 0 0 0.5rem; font-weight: 600; }
`;

// Nothing is loaded or run, only this style is applied, and the form may only come back here.
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** What goes with every page: its policy, and that nobody may keep or index it. */
export const pageHeaders = {
  'Content-Security-Policy': policy,
  'Cache-Control': 'no-store',
  'X-Robots-Tag': 'noindex, nofollow',
} as const;

/** Asks a person to confirm; only the button acts, because scanners follow every link of a mail. */
export function confirmPage(
  texts: Texts,
  offer: { tenantName: string; channel: PreferenceChannel; token: string },
): string {
  return page(
    texts,
    texts.unsubscribeTitle,
    `<h1>${escapeHtml(texts.unsubscribeFrom(offer.tenantName))}</h1>
    <p>${texts.noMore[offer.channel]}</p>
    <form method="post"><button type="submit">${texts.unsubscribe}</button></form>
    <p><a href="../p/${offer.token}">${texts.choose}</a></p>`,
  );
}

/** Says that it is done, and offers the way back. */
export function unsubscribedPage(
  texts: Texts,
  { channel, token }: { channel: PreferenceChannel; token: string },
): string {
  return page(
    texts,
    texts.unsubscribedTitle,
    `<h1>${texts.unsubscribed}</h1>
    <p>${texts.noMore[channel]} ${texts.canClose}</p>
    ${undoForm(texts, { action: `../p/${token}`, back: [{ channel, state: 'unknown' }] })}
    <p><a href="../p/${token}">${texts.preferencesTitle}</a></p>`,
  );
}

/** Promises no more than holds: a removed address can be imported again, and nobody would know. */
export function addressUnknownPage(texts: Texts): string {
  return page(
    texts,
    texts.unknownAddressTitle,
    `<h1>${texts.unknownAddress}</h1>
    <p>${texts.unknownAddressLine}</p>`,
  );
}

export function unknownPage(texts: Texts): string {
  return page(
    texts,
    texts.notFoundTitle,
    `<h1>${texts.notFound}</h1>
    <p>${texts.notFoundLine}</p>`,
  );
}

export function laterPage(texts: Texts): string {
  return page(
    texts,
    texts.laterTitle,
    `<h1>${texts.later}</h1>
    <p>${texts.laterLine}</p>`,
  );
}

/**
 * The switches of one customer, each with its address masked: mail is forwarded, and whoever reads it
 * then need not learn more than it says. After saving, `before` is what an undo leads back to.
 */
export function preferencesPage(
  texts: Texts,
  now: Preferences,
  before: Preferences | null = null,
): string {
  return page(
    texts,
    texts.preferencesTitle,
    `${before === null ? '' : savedNote(texts, before)}
    <h1>${escapeHtml(texts.preferences(now.tenantName))}</h1>
    <p>${texts.preferencesLine}</p>
    <form method="post">
      <fieldset>
        <legend>${texts.channelsLegend}</legend>
        ${now.channels.map((channel) => switchOf(texts, channel)).join('')}
      </fieldset>
      <p><button type="submit" name="do" value="save">${texts.save}</button></p>
      <p><button type="submit" class="plain" name="do" value="allOff" aria-describedby="all-off">${texts.allOff}</button></p>
      <p><small id="all-off">${texts.allOffLine}</small></p>
    </form>`,
  );
}

function switchOf(texts: Texts, { channel, address, state }: ChannelPreference): string {
  const name = `${texts.channels[channel]}<small>${escapeHtml(maskAddress(address))}</small>`;
  if (state === 'blocked') {
    return `<label><input type="checkbox" disabled><span>${name}<small>${texts.blocked}</small></span></label>`;
  }
  const checked = state === 'on' ? ' checked' : '';
  return `<input type="hidden" name="offered" value="${channel}"><label><input type="checkbox" name="on" value="${channel}"${checked}><span>${name}</span></label>`;
}

function savedNote(texts: Texts, before: Preferences): string {
  const back = before.channels
    .filter(({ state }) => state !== 'blocked')
    .map(({ channel, state, consent }) => ({ channel, state: state === 'on' ? consent : 'off' }));
  return `<div role="status">
      <p>${texts.saved}</p>
      ${undoForm(texts, { action: '', back })}
    </div>`;
}

/** A button that leads each channel back to how it was: off, or on with this consent. */
function undoForm(
  texts: Texts,
  { action, back }: { action: string; back: { channel: string; state: string }[] },
): string {
  const fields = back
    .map(({ channel, state }) => `<input type="hidden" name="${channel}" value="${state}">`)
    .join('');
  return `<form method="post"${action === '' ? '' : ` action="${action}"`}>${fields}<button type="submit" class="plain" name="do" value="undo">${texts.undo}</button></form>`;
}

function page({ language }: Texts, title: string, main: string): string {
  return htmlPage({ language, title, style, main });
}
