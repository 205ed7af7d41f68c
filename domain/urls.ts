/**
 * The address as a URL; null when it is none. Not by `URL.canParse`, which Node 20 answers wrongly for
 * other letters than ASCII once it has become fast.
 */
export function parseUrl(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}
