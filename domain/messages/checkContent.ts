import { type Liquid, LiquidError, Tokenizer, TypeGuards } from 'liquidjs';
import type { Content, ContentField, ContentProblem } from './content';
import { htmlEngine, plainEngine, plainMessage } from './engine';
import { ROOT_NAMES, fieldProblem } from './fields';

/** How many characters an author may write in each part. */
export const MAX_LENGTHS: Readonly<Record<ContentField, number>> = {
  subject: 1_000,
  preheader: 1_000,
  html: 500_000,
  text: 200_000,
};

/** The first problem of every part of the content; none when it can be sent. */
export function checkContent(content: Content): ContentProblem[] {
  const problems = [
    checkPart('subject', content.subject, plainEngine),
    checkPart('preheader', content.preheader, htmlEngine),
    checkPart('html', content.html, htmlEngine),
    checkPart('text', content.text, plainEngine),
  ];
  return problems.filter((problem) => problem !== null);
}

function checkPart(
  field: ContentField,
  source: string | undefined,
  engine: Liquid,
): ContentProblem | null {
  if (source === undefined) {
    return null;
  }
  const at = (line: number, column: number, message: string): ContentProblem => ({
    field,
    line,
    column,
    message,
  });
  if (source.length > MAX_LENGTHS[field]) {
    return at(1, 1, `is longer than ${MAX_LENGTHS[field]} characters`);
  }
  if ((field === 'subject' || field === 'html') && source.trim() === '') {
    return at(1, 1, 'is empty');
  }
  // Postgres cannot hold it and mail must not.
  const nul = source.indexOf('\0');
  if (nul >= 0) {
    return at(source.slice(0, nul).split('\n').length, 1, 'holds a NUL character');
  }
  try {
    const { globals, locals } = engine.analyzeSync(engine.parse(source), { partials: false });
    for (const [name, uses] of Object.entries(locals)) {
      const { row, col } = uses[0]?.location ?? { row: 1, col: 1 };
      if (ROOT_NAMES.has(name)) {
        return at(row, col, `"${name}" cannot be assigned to`);
      }
    }
    for (const { segments, location } of Object.values(globals).flat()) {
      const [root, field] = segments;
      const message = fieldProblem(String(root), typeof field === 'string' ? field : undefined);
      if (message !== null) {
        return at(location.row, location.col, message);
      }
    }
  } catch (error) {
    const [line, column] = LiquidError.is(error) ? error.token.getPosition() : [];
    return at(line ?? 1, column ?? 1, plainMessage(error));
  }
  return checkLoopExits(source, at);
}

/** `break` at the top would drop the rest of the message. */
function checkLoopExits(
  source: string,
  at: (line: number, column: number, message: string) => ContentProblem,
): ContentProblem | null {
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
