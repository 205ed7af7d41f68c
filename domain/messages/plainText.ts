/**
 * Whether a text stands for itself in HTML, in a header and in JSON. Halves of a pair do not in JSON
 * when they are alone, so texts that hold one are looked at more closely.
 */
export function isPlainText(text: string): boolean {
  return PLAIN.test(text);
}

const PLAIN = /^[ !#-%(-;=?-[\]-~\u0080-\ud7ff\ue000-\uffff]*$/;

/**
 * What keeps texts from being plain, to be looked for in many at once that U+001F parts. It has a
 * place of its own in the text: set `lastIndex` first.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
export const unplain = /["&'<>\\\u0000-\u001e\u007f\ud800-\udfff]/g;

/** The same for names, where a mailbox takes a comma or a semicolon for the end of an address. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
export const unplainInName = /["&'<>\\,;\u0000-\u001e\u007f\ud800-\udfff]/g;
