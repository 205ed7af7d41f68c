export const maxTags = 50;
export const maxTagLength = 64;

/** The tags without spaces around them and each once, in the order they came. */
export function normalizeTags(tags: readonly string[]): string[] {
  return [...new Set(tags.map((tag) => tag.trim()))].filter((tag) => tag !== '');
}
