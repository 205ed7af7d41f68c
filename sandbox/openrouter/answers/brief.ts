export const languages = ['en', 'de', 'fr', 'es'] as const;

export type Language = (typeof languages)[number];

/** What an answer is made of: whatever of a prompt can be found in it without understanding it. */
export interface Brief {
  /** What was asked last, without its markup. */
  question: string;
  language: Language;
  brand: string | null;
  product: string | null;
  goal: string | null;
  audience: string | null;
  /** `20 %`, `€10`. */
  offer: string | null;
  /** An address, a number that was named: for the arguments of tools. */
  email: string | null;
  number: string | null;
  /** `{{ customer.firstName }}`: what a good model leaves as it is, each once. */
  placeholders: readonly string[];
  /** Words that carry meaning, in order, each once. */
  words: readonly string[];
  /** The first of them that stand together, or the first. */
  phrase: string | null;
}

const MAX_READ = 6_000;
const MOST_WORDS = 12;

/** Reads a prompt: what was instructed, and what was asked last. */
export function readBrief(system: string, question: string): Brief {
  const asked = question.slice(0, MAX_READ);
  const all = `${asked}\n${system.slice(0, MAX_READ)}`;
  return {
    question: asked,
    language: languageOf(asked, all),
    brand: labelled(all, BRAND) ?? fromBrand(all),
    product: labelled(all, PRODUCT) ?? quoted(asked) ?? forSomething(asked),
    goal: labelled(all, GOAL),
    audience: labelled(all, AUDIENCE),
    offer: OFFER.exec(asked)?.[0].trim() ?? null,
    email: EMAIL.exec(asked)?.[0] ?? null,
    number: NUMBER.exec(asked)?.[0] ?? null,
    placeholders: placeholdersOf(asked),
    ...wordsOf(asked),
  };
}

function placeholdersOf(text: string): string[] {
  const found = [...text.matchAll(/\{\{([^{}]{1,100})\}\}/g)].map(([, name = '']) => name.trim());
  return [...new Set(found)].map((name) => `{{ ${name} }}`);
}

/** What the text is about, in a few words. */
export function topicOf({ product, phrase }: Brief): string | null {
  return product ?? phrase;
}

// `Brand: Aurora Coffee`, `"brandName": "Aurora Coffee"`, `Marke: …`, `la marque : …`
const labelledBy = (names: string) =>
  new RegExp(
    `(?:^|[\\n"{,;.(-]|\\b)\\s*(?:${names})"?\\s*(?:is|ist|est|es)?\\s*[:=]\\s*"?([^"\\n;{}]{2,120})`,
    'i',
  );
const BRAND = labelledBy(
  'brand ?name|brand|company|sender|marke|firma|marque|entreprise|marca|empresa',
);
const PRODUCT = labelledBy(
  'product ?name|products?|offer|topic|produkte?|thema|produit|sujet|producto|tema',
);
const GOAL = labelledBy('goal|objective|purpose|brief|ziel|zweck|objectif|objetivo');
const AUDIENCE = labelledBy('audience|target group|segment|zielgruppe|public|público');
const OFFER =
  /(?:[€$£]\s?\d+(?:[.,]\d+)?|\b\d{1,2}(?:[.,]\d+)?\s?(?:%|percent|prozent|€|eur\b|usd\b))/i;
const EMAIL = /[\w.+-]+@[\w-]+\.[\w.-]*\w/;
const NUMBER = /\b[A-Z]{0,4}[-#]?\d{3,12}\b/;

function labelled(text: string, pattern: RegExp): string | null {
  const found = pattern.exec(text)?.[1];
  return found === undefined ? null : short(found);
}

function fromBrand(text: string): string | null {
  const found =
    /\b(?:from|for|at|by|of|von|bei|für|de|chez|para)\s+((?:[A-ZÄÖÜ][\p{L}&'’-]+)(?:\s+(?:&|[A-ZÄÖÜ][\p{L}'’-]+)){0,3})/u.exec(
      text,
    )?.[1];
  return found === undefined || isLanguageName(found) ? null : found;
}

function quoted(text: string): string | null {
  const found = /["“„«]([^"”“»\n]{3,60})["”“»]/.exec(text)?.[1];
  return found === undefined ? null : short(found);
}

function forSomething(text: string): string | null {
  const found =
    /\b(?:about|for|promote|announce|launch of|über|für|zum|sur|pour|sobre|para)\s+(?:(?:our|the|a|an|my|new|unsere[nrs]?|unser|eine[nrm]?|die|den|das|neue[nrs]?|notre|nos|la|le|les|un|une|nouveau|nouvelle|nuestr[oa]s?|el|una|nuev[oa])\s+)*((?:[\p{L}\d'’-]+ ?){1,4})/iu.exec(
      text,
    )?.[1];
  if (found === undefined) {
    return null;
  }
  const kept = found.trim().split(/\s+/);
  const end = kept.findIndex((word) => STOP.has(word.toLowerCase()));
  const phrase = (end === -1 ? kept : kept.slice(0, end)).join(' ');
  return phrase.length < 3 || isLanguageName(phrase) ? null : phrase;
}

// One sentence of it at most, without what closes it.
function short(text: string): string | null {
  const sentence = text.split(/(?<=[.!?])\s/)[0] ?? text;
  const kept = sentence.replace(/[\s.,;:"”)\]]+$/u, '').trim();
  return kept.length < 2 ? null : kept.slice(0, 80);
}

const asks: Readonly<Record<Exclude<Language, 'en'>, RegExp>> = {
  de: /\b(?:in german|auf deutsch|language"?\s*[:=]\s*"?(?:de\b|german)|sprache"?\s*[:=]\s*"?(?:de\b|deutsch)|locale"?\s*[:=]\s*"?de\b|german\b)/i,
  fr: /(?:\bin french\b|en français|language"?\s*[:=]\s*"?(?:fr\b|french)|langue"?\s*[:=]\s*"?fr|locale"?\s*[:=]\s*"?fr\b|\bfrench\b)/i,
  es: /(?:\bin spanish\b|en español|language"?\s*[:=]\s*"?(?:es\b|spanish)|idioma"?\s*[:=]\s*"?es|locale"?\s*[:=]\s*"?es\b|\bspanish\b)/i,
};
const ENGLISH_ASKED = /\b(?:in english|language"?\s*[:=]\s*"?(?:en\b|english))/i;

const typical: Readonly<Record<Language, RegExp>> = {
  en: /\b(?:the|and|for|with|our|you|your|is|are|write|please|of)\b/gi,
  de: /\b(?:der|die|das|und|für|mit|unsere?|ist|bitte|eine?n?|schreibe?|wir|nicht|auf)\b/gi,
  fr: /\b(?:le|la|les|et|pour|avec|notre|nos|est|une?|des|écris|vous|nous|du)\b/gi,
  es: /\b(?:el|los|las|y|para|con|nuestr[oa]s?|es|una?|del|escribe|por|que)\b/gi,
};

function languageOf(question: string, all: string): Language {
  if (ENGLISH_ASKED.test(all)) {
    return 'en';
  }
  for (const language of ['de', 'fr', 'es'] as const) {
    if (asks[language].test(all)) {
      return language;
    }
  }
  let best: Language = 'en';
  let most = 0;
  for (const language of languages) {
    const count = question.match(typical[language])?.length ?? 0;
    if (count > most) {
      [best, most] = [language, count];
    }
  }
  return best;
}

function isLanguageName(text: string): boolean {
  return /^(?:english|german|french|spanish|deutsch|français|español)/i.test(text);
}

const STOP = new Set(
  (
    'about above after again all also and any are because been before being between both but by can could create ' +
    'did does doing down draft during each email emails every few for from further generate give had has have ' +
    'having her here hers him his how into its itself just keep language lines line make mail message messages more most must name ' +
    'need new not now off once only other our ours out over own please produce return same she should some subject ' +
    'such suggest than that the their them then there these they this those through too under until use using very was ' +
    'way were what when where which while who whom why will with within without words would write you your yours answer ' +
    'ask best better bring explain find good help improve increase know learn like look many question really show tell thank thanks think time want work ' +
    'json schema exactly reply variants variant short three five two four ten body text campaign ' +
    'aber als auch auf aus bei bin bis bitte das dass dem den der des die doch ein eine einen einer eines erstelle für ' +
    'gib haben hat ich ihr ihre ist kann kein mit nach nicht noch nur oder schreibe schreib sein sich sie sind über und uns unser ' +
    'unsere unseren von was wenn wer wie wir wird zu zum zur betreffzeilen betreffzeile ' +
    'avec ces cette dans des donne elle est les leur mais notre nous par pas plus pour que qui sans ses son sont sur ' +
    'une vous écris objet lignes con del los las para por que una uno sus como más pero este esta nuestro nuestra escribe asunto'
  ).split(' '),
);

function wordsOf(text: string): Pick<Brief, 'words' | 'phrase'> {
  const words = new Set<string>();
  const runs: string[][] = [[]];
  for (const [word, gap = ''] of text.matchAll(/[\p{L}\d][\p{L}\d'’-]*([^\p{L}\d]*)/gu)) {
    const bare = word.slice(0, word.length - gap.length);
    const lower = bare.toLowerCase();
    const carries = bare.length > 3 && !STOP.has(lower) && !isLanguageName(bare);
    if (carries) {
      words.add(bare);
      runs.at(-1)?.push(bare);
    }
    // What stands between them ends what belongs together.
    if (!carries || gap.trim() !== '') {
      runs.push([]);
    }
    if (words.size === MOST_WORDS) {
      break;
    }
  }
  const together = runs
    .find((run) => run.length > 1)
    ?.slice(0, 3)
    .join(' ');
  return { words: [...words], phrase: together ?? [...words][0] ?? null };
}
