import { parseUrl } from '../urls';

/**
 * The address for a Location header, written as the author wrote it; null when it is no web address.
 * A header holds only visible ASCII, so other characters are written as a browser would send them,
 * and nothing else changes.
 */
export function locationOf(written: string): string | null {
  const url = written.trim();
  if (!/^https?:\/\//i.test(url) || parseUrl(url) === null) {
    return null;
  }
  if (isHeaderText(url)) {
    return url;
  }
  const [, start = '', host = '', rest = ''] =
    /^(https?:\/\/(?:[^/?#\\]*@)?)([^/?#\\]*)(.*)$/is.exec(url) ?? [];
  return encoded(start) + (isHeaderText(host) ? host : new URL(url).host) + encoded(rest);
}

function isHeaderText(text: string): boolean {
  return /^[\x21-\x7e]*$/.test(text);
}

function encoded(text: string): string {
  return text.replace(/[^\x21-\x7e]+/g, encodeURIComponent);
}
