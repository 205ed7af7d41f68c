import { type Liquid, LiquidError, Tokenizer, TypeGuards } from 'liquidjs';
import type { Content, ContentProblem } from './content';
import { htmlEngine, plainEngine, plainMessage } from './engine';
import { ROOT_NAMES, fieldProblem } from './fields';
import { type LiquidRange, MAX_CODE_LENGTH, codeLength, liquidRanges } from './source';

/** How a part of a message is checked. */
export interface PartRules {
  /** Its name in what is said of it. */
  field: string;
  engine: Liquid;
  /** How many characters an author may write. */
  maxLength: number;
  mayBeBlank: boolean;
  /** What is wrong with a name that is read; a campaign's names when not given. */
  nameProblem?: typeof fieldProblem;
}

/** The parts of a mail. */
export const mailRules = {
  subject: { field: 'subject', engine: plainEngine, maxLength: 1_000, mayBeBlank: false },
  preheader: { field: 'preheader', engine: htmlEngine, maxLength: 1_000, mayBeBlank: true },
  html: { field: 'html', engine: htmlEngine, maxLength: 500_000, mayBeBlank: false },
  text: { field: 'text', engine: plainEngine, maxLength: 200_000, mayBeBlank: true },
} satisfies Record<keyof Content, PartRules>;

/** The first problem of every part of the content; none when it can be sent. */
export function checkContent(content: Content): ContentProblem[] {
  const problems = [
    checkPart(content.subject, mailRules.subject),
    checkPart(content.preheader, mailRules.preheader),
    checkPart(content.html, mailRules.html),
    checkPart(content.text, mailRules.text),
  ];
  return problems.filter((problem) => problem !== null);
}

/** The first problem of one part, or null: what is not given has none. */
export function checkPart(source: string | undefined, rules: PartRules): ContentProblem | null {
  if (source === undefined) {
    return null;
  }
  const { field, engine, maxLength } = rules;
  const at: ProblemAt = (line, column, message) => ({
    field,
    line,
    column,
    message,
  });
  if (source.length > maxLength) {
    return at(1, 1, `is longer than ${maxLength} characters`);
  }
  if (!rules.mayBeBlank && source.trim() === '') {
    return at(1, 1, 'is empty');
  }
  // Postgres cannot hold it and mail must not.
  const nul = source.indexOf('\0');
  if (nul >= 0) {
    return at(source.slice(0, nul).split('\n').length, 1, 'holds a NUL character');
  }
  try {
    const tooDeep = checkNesting(source, at);
    if (tooDeep !== null) {
      return tooDeep;
    }
    engine.parse(source);
  } catch (error) {
    const [line, column] = LiquidError.is(error) ? error.token.getPosition() : [];
    return at(line ?? 1, column ?? 1, plainMessage(error));
  }
  if (codeLength(liquidRanges(source)) > MAX_CODE_LENGTH) {
    return at(1, 1, `holds more than ${MAX_CODE_LENGTH} characters of Liquid`);
  }
  return checkNames(source, rules, at) ?? checkLoopExits(source, at);
}

type ProblemAt = (line: number, column: number, message: string) => ContentProblem;

function checkNames(
  source: string,
  { engine, nameProblem = fieldProblem }: PartRules,
  at: ProblemAt,
): ContentProblem | null {
  // The analysis counts lines from the top for every name it finds: it gets the Liquid alone.
  const ranges = liquidRanges(source).filter(({ kind }) => kind !== 'verbatim');
  const code = ranges.map(({ begin, end }) => source.slice(begin, end)).join('');
  const { globals, locals } = engine.analyzeSync(engine.parse(code), { partials: false });
  const inSource = ({ row, col }: { row: number; col: number }, message: string) => {
    const [line, column] = placeOf(source, sourceOffset(ranges, offsetOf(code, row, col)));
    return at(line, column, message);
  };
  for (const [name, uses] of Object.entries(locals)) {
    if (ROOT_NAMES.has(name)) {
      const location = uses[0]?.location ?? { row: 1, col: 1 };
      return inSource(location, `"${name}" cannot be assigned to`);
    }
  }
  for (const { segments, location } of Object.values(globals).flat()) {
    const [root, name] = segments;
    const message = nameProblem(String(root), typeof name === 'string' ? name : undefined);
    if (message !== null) {
      return inSource(location, message);
    }
  }
  return null;
}

function offsetOf(text: string, row: number, col: number): number {
  const before = text.split('\n').slice(0, row - 1);
  return before.reduce((sum, line) => sum + line.length + 1, 0) + col - 1;
}

/** Where in the source a place in its ranges, put one behind the other, lies. */
function sourceOffset(ranges: LiquidRange[], offset: number): number {
  let left = offset;
  for (const { begin, end } of ranges) {
    if (left < end - begin) {
      return begin + left;
    }
    left -= end - begin;
  }
  return 0;
}

function placeOf(text: string, offset: number): [line: number, column: number] {
  const lines = text.slice(0, offset).split('\n');
  return [lines.length, (lines.at(-1)?.length ?? 0) + 1];
}

// The parser, the analysis and rendering call themselves for every level.
const MAX_NESTING = 100;
const OPENS = /^(?:if|unless|case|for|tablerow|capture)$/;
const CLOSES = /^end(?:if|unless|case|for|tablerow|capture)$/;

function checkNesting(source: string, at: ProblemAt): ContentProblem | null {
  let depth = 0;
  for (const token of new Tokenizer(source).readTopLevelTokens()) {
    if (TypeGuards.isHTMLToken(token)) {
      continue;
    }
    const text = token.getText();
    let deepest = depth;
    let liquids = 0;
    // A `liquid` tag holds a tag in every line, which may be `liquid` with a tag again.
    const isLiquid = TypeGuards.isTagToken(token) && token.name === 'liquid';
    const names = isLiquid ? text.match(/\w+/g) : TypeGuards.isTagToken(token) && [token.name];
    for (const name of names || []) {
      liquids += name === 'liquid' ? 1 : 0;
      depth += OPENS.test(name) ? 1 : CLOSES.test(name) ? -1 : 0;
      deepest = Math.max(deepest, depth);
    }
    if (deepest + liquids + bracketDepth(text) > MAX_NESTING) {
      const [line, column] = token.getPosition();
      return at(line ?? 1, column ?? 1, `nests more than ${MAX_NESTING} deep`);
    }
  }
  return null;
}

/** How deep `a[b[c]]` goes. */
function bracketDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const bracket of text.match(/[[\]]/g) ?? []) {
    depth += bracket === '[' ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** `break` at the top would drop the rest of the message. */
function checkLoopExits(source: string, at: ProblemAt): ContentProblem | null {
  let loops = 0;
  for (const token of new Tokenizer(source).readTopLevelTokens()) {
    if (!TypeGuards.isTagToken(token)) {
      continue;
    }
    if (token.name === 'for' || token.name === 'tablerow') {
      loops += 1;
    } else if (token.name === 'endfor' || token.name === 'endtablerow') {
      loops -= 1;
    } else if ((token.name === 'break' || token.name === 'continue') && loops === 0) {
      const [line, column] = token.getPosition();
      return at(line ?? 1, column ?? 1, `"${token.name}" stands outside of a loop`);
    }
  }
  return null;
}
