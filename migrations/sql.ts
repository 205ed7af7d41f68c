/** Words as a list of SQL literals, for a check constraint. */
export function listOf(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(', ');
}
