import { placeholdersIn } from './placeholders';
import type { ContentBrief, ContentVariant, ContentWarning, WrittenVariant } from './types';

/** What keeps a variant from being sent. */
export type ContentProblem =
  | 'lostPlaceholder'
  | 'unknownPlaceholder'
  | 'longSubject'
  | 'manyLines'
  | 'longBody'
  | 'markup';

export interface CheckedVariants {
  /** Those that are fit to be sent, with what their author may want to look at. */
  readonly usable: readonly ContentVariant[];
  /** What is wrong with the others, and how many are missing, in words a model can follow. */
  readonly faults: readonly string[];
}

const longestSubject = 150;
// Most inboxes show no more of it.
const shownSubject = 50;

const longestBody = {
  email: 10_000,
  // Six parts of a text.
  sms: 918,
  whatsapp: 1_024,
} as const satisfies Record<ContentBrief['channel'], number>;

/** Looks at what a model wrote; nothing of it is trusted because it was asked for. */
export function checkVariants(
  brief: ContentBrief,
  variants: readonly WrittenVariant[],
): CheckedVariants {
  const known = placeholdersIn(brief.goal, brief.tone, ...brief.facts);
  const looked = variants.slice(0, brief.count).map((variant) => ({
    variant,
    problems: problemsOf(brief, variant, known),
  }));
  const faults = looked.flatMap(({ problems }, index) =>
    problems.map((problem) => `Variant ${index + 1}: ${wordsOf(problem, brief, known)}`),
  );
  const missing = brief.count - looked.length;
  return {
    usable: looked
      .filter(({ problems }) => problems.length === 0)
      .map(({ variant }) => ({ ...variant, warnings: warningsOf(brief, variant) })),
    faults: missing > 0 ? [...faults, `${missing} variants are missing.`] : faults,
  };
}

function problemsOf(
  { channel }: ContentBrief,
  { subject, body }: WrittenVariant,
  known: ReadonlySet<string>,
): ContentProblem[] {
  const used = placeholdersIn(subject, body);
  const found: [ContentProblem, boolean][] = [
    ['lostPlaceholder', [...known].some((placeholder) => !used.has(placeholder))],
    ['unknownPlaceholder', [...used].some((placeholder) => !known.has(placeholder))],
    ['longSubject', (subject ?? '').length > longestSubject],
    ['manyLines', /\p{Cc}/u.test(subject ?? '')],
    ['longBody', body.length > longestBody[channel]],
    ['markup', /<[a-z/!][^>]*>/i.test(`${subject ?? ''} ${body}`)],
  ];
  return found.filter(([, isSo]) => isSo).map(([problem]) => problem);
}

function wordsOf(
  problem: ContentProblem,
  { channel }: ContentBrief,
  known: ReadonlySet<string>,
): string {
  const all = [...known].join(', ');
  const words: Record<ContentProblem, string> = {
    lostPlaceholder: `it must contain each of these placeholders as it is: ${all}.`,
    unknownPlaceholder:
      known.size === 0
        ? 'it must contain no placeholders in braces.'
        : `it must contain no other placeholders than ${all}.`,
    longSubject: `its subject must have at most ${longestSubject} characters.`,
    manyLines: 'its subject must be one line.',
    longBody: `its body must have at most ${longestBody[channel]} characters.`,
    markup: 'it must be plain text, without HTML.',
  };
  return words[problem];
}

function warningsOf(brief: ContentBrief, { subject, body }: WrittenVariant): ContentWarning[] {
  const given = new Set(numbersIn(brief.goal, ...brief.facts));
  const found: [ContentWarning, boolean][] = [
    ['longSubject', (subject ?? '').length > shownSubject],
    ['unknownNumber', numbersIn(subject ?? '', body).some((number) => !given.has(number))],
  ];
  return found.filter(([, isSo]) => isSo).map(([warning]) => warning);
}

// Prices, percentages, years: what a reader takes for a fact.
function numbersIn(...texts: readonly string[]): string[] {
  return texts.flatMap((text) =>
    [...text.replace(/\{\{[^{}]*\}\}/g, ' ').matchAll(/\d+(?:[.,]\d+)*/g)].map(
      ([number]) => number,
    ),
  );
}
