import { topicOf, type Brief } from './brief';
import type { Dice } from './dice';
import { phrases, type Phrases } from './phrases';

export const copyKinds = [
  'subject',
  'preheader',
  'body',
  'sentence',
  'call',
  'tone',
  'reason',
  'brand',
  'product',
  'keyword',
] as const;

export type CopyKind = (typeof copyKinds)[number];

/**
 * Writes the `place`-th text of a kind for a brief. Places draw different phrases as long as there
 * are some, so that variants differ.
 */
export function writeCopy(kind: CopyKind, brief: Brief, dice: Dice, place = 0): string {
  const said = phrases[brief.language];
  const fill = (text: string) => filled(text, brief, said);
  const nth = (list: readonly string[]) => fill(list[(place + dice.shift) % list.length] ?? '');
  switch (kind) {
    case 'subject':
      // Now and then one of them names the offer.
      return brief.offer !== null && place % 3 === 1
        ? fill(said.offerSubjects[((place - 1) / 3) % said.offerSubjects.length] ?? '')
        : nth(said.subjects);
    case 'preheader':
      return nth(said.preheaders);
    case 'body':
      return [
        ...brief.placeholders.slice(0, 1).map((name) => `${name},`),
        nth(said.openers),
        nth(said.middles),
        ...(brief.offer === null ? [] : [nth(said.offers)]),
        nth(said.closers),
        ...brief.placeholders.slice(1),
      ].join(' ');
    case 'sentence':
      return nth(said.middles);
    case 'call':
      return nth(said.calls);
    case 'tone':
      return nth(said.tones);
    case 'reason':
      return nth(said.reasons);
    case 'brand':
      return brief.brand ?? 'Aurora';
    case 'product':
      return topicOf(brief) ?? said.thing;
    case 'keyword':
      return (
        brief.words[place % Math.max(1, brief.words.length)] ??
        said.tones[0] ??
        ''
      ).toLowerCase();
  }
}

/** A reply to somebody who writes without wanting anything of a form. */
export function writeReply(brief: Brief, dice: Dice): string {
  const said = phrases[brief.language];
  const fill = (text: string) => filled(text, brief, said);
  const exact = EXACT.exec(brief.question)?.[1];
  if (exact !== undefined) {
    return exact.trim();
  }
  if (SUBJECTS_WANTED.test(brief.question)) {
    const count = Math.min(10, countIn(brief.question));
    const lines = Array.from({ length: count }, (_, n) => writeCopy('subject', brief, dice, n));
    return lines.map((line, n) => `${n + 1}. ${line}`).join('\n');
  }
  if (COPY_WANTED.test(brief.question)) {
    return [writeCopy('body', brief, dice), writeCopy('call', brief, dice)].join('\n\n');
  }
  if (GREETING.test(brief.question)) {
    return fill(dice.pick(said.greetings) ?? '');
  }
  return [said.answers, said.follows].map((list) => fill(dice.pick(list) ?? '')).join(' ');
}

const EXACT =
  /\b(?:reply|answer|respond|say)\s+(?:only\s+)?(?:with\s+)?exactly:?\s*["“]?([^"”\n]{1,500})["”]?/i;
const SUBJECTS_WANTED = /\b(?:subject lines?|betreffzeilen?|lignes d.objet|asuntos?)\b/i;
const COPY_WANTED =
  /(?<!\p{L})(?:write|draft|compose|schreibe?|entwirf|verfasse|écris|rédige|escribe|redacta)(?!\p{L})/iu;
const GREETING =
  /^\W*(?:hi|hello|hey|good (?:morning|day|evening)|hallo|guten (?:tag|morgen)|bonjour|salut|hola|buenas)\b.{0,20}$/i;

const numbers: Readonly<Record<string, number>> = {
  one: 1,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  ten: 10,
  zwei: 2,
  drei: 3,
  vier: 4,
  fünf: 5,
  sechs: 6,
  zehn: 10,
  deux: 2,
  trois: 3,
  quatre: 4,
  cinq: 5,
  dix: 10,
  dos: 2,
  tres: 3,
  cuatro: 4,
  cinco: 5,
  diez: 10,
};

// The number that stands a word or two before what is counted; five where none does.
function countIn(question: string): number {
  const [, told] =
    /(\d{1,2}|\p{L}+)\s+(?:\p{L}+\s+){0,2}?(?:subject|betreff|lignes|asuntos?)/iu.exec(question) ??
    [];
  return Number(told) || (numbers[told?.toLowerCase() ?? ''] ?? 5);
}

function filled(text: string, brief: Brief, said: Phrases): string {
  const topic = topicOf(brief) ?? said.thing;
  const done = text
    .replaceAll('{x}', topic)
    .replaceAll('{b}', brief.brand ?? said.sender)
    .replaceAll('{o}', brief.offer ?? '');
  return done.charAt(0).toUpperCase() + done.slice(1);
}
