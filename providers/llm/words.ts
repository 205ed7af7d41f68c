import { redactText } from '../../lib/redaction';
import { reasonIn } from '../vendorText';
import { withoutSecrets } from '../withoutSecrets';

/** What a vendor's words must not repeat. */
export interface Unspeakable {
  readonly apiKey: string;
  /** The texts of the prompt. */
  readonly prompt: readonly string[];
}

const longest = 300;
const left = '[…]';

/** A vendor's words as one line of at most 300 characters, without the key and without the prompt. */
export function wordsOf(text: string, { apiKey, prompt }: Unspeakable): string {
  // Twice as much is looked at as is kept, so that nothing is known by its half alone.
  const plain = withoutSecrets(text.slice(0, longest * 2), [apiKey]);
  return reasonIn(redactText(withoutPrompt(plain, prompt))).trim();
}

const window = 24;
const step = 12;

/**
 * The text without what it quotes of the prompt: any 36 characters in a row hold a whole window, so
 * a few look-ups find them, however long the prompt is. A shorter prompt is looked for as a whole.
 */
function withoutPrompt(text: string, prompt: readonly string[]): string {
  const short = prompt.filter((part) => part.length > 5 && part.length < window + step);
  let rest = short.reduce((words, part) => words.replaceAll(part, left), text);
  for (let at = 0; at + window <= rest.length; at += step) {
    const part = prompt.find((whole) => whole.includes(rest.slice(at, at + window)));
    if (part !== undefined) {
      const [from, to] = quoted(rest, at, part);
      rest = rest.slice(0, from) + left + rest.slice(to);
      at = Math.max(from - step, -step);
    }
  }
  return rest;
}

/** How far to both sides the text says the same as the part of the prompt does where it is found. */
function quoted(text: string, at: number, part: string): [number, number] {
  // Of a long prompt it is looked for once: to look for each longer piece anew would take a second.
  const shift = part.indexOf(text.slice(at, at + window)) - at;
  let from = at;
  let to = at + window;
  while (from > 0 && text[from - 1] === part[from - 1 + shift]) {
    from -= 1;
  }
  while (to < text.length && text[to] === part[to + shift]) {
    to += 1;
  }
  return [from, to];
}
