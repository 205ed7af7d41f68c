/** The BCP 47 tag as it is usually written ("pt-br" is "pt-BR"), or null when it is none. */
export function canonicalLanguage(text: string): string | null {
  const tag = text.trim().replaceAll('_', '-');
  if (tag.length > 35) {
    return null;
  }
  try {
    return Intl.getCanonicalLocales(tag)[0] ?? null;
  } catch {
    // RangeError is Intl's only answer to a tag that is not well-formed.
    return null;
  }
}
