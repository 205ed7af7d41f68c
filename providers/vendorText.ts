/** Without what Postgres cannot keep in a JSON text: NUL, and halves of surrogate pairs. */
export function cleaned(text: string): string {
  return text.replaceAll('\u0000', '').replace(/\p{Surrogate}/gu, '\u{FFFD}');
}

const longestReason = 300;

/** Why a vendor refused, in its own words, as one line that Postgres can keep. */
export function reasonIn(text: string): string {
  return cleaned(text.replace(/\p{Cc}/gu, ' ').slice(0, longestReason));
}
