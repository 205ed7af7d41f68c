import type { FieldProblem } from '../domain/errors';

interface TextProblem {
  code: string;
  message: string;
}

/** Why Postgres could not keep the text, or null when it can. */
export function textProblem(text: string): TextProblem | null {
  if (text.includes('\u0000')) {
    return { code: 'nulCharacter', message: 'Must not hold the NUL character.' };
  }
  if (/\p{Surrogate}/u.test(text)) {
    return { code: 'brokenUnicode', message: 'Holds half of a surrogate pair.' };
  }
  return null;
}

/** Every text in a JSON value that Postgres could not keep, and every key that is a trap. */
export function textProblems(value: unknown, path: readonly string[] = []): FieldProblem[] {
  if (typeof value === 'string') {
    const problem = textProblem(value);
    return problem === null ? [] : [{ path: path.join('.'), ...problem }];
  }
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => textProblems(item, [...path, String(index)]));
  }
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([key, item]) => {
    const keyProblem = key === '__proto__' ? prototypeKey : textProblem(key);
    const inside = [...path, key];
    return keyProblem === null
      ? textProblems(item, inside)
      : [{ path: inside.join('.'), ...keyProblem }];
  });
}

const prototypeKey: TextProblem = { code: 'unknownField', message: 'Is not a field here.' };

/** How deep the arrays and objects of a JSON text lie in each other, without parsing it. */
export function nestingDepth(json: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (inString) {
      if (code === 0x5c) {
        at += 1;
      } else if (code === 0x22) {
        inString = false;
      }
    } else if (code === 0x22) {
      inString = true;
    } else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      deepest = Math.max(deepest, depth);
    } else if (code === 0x5d || code === 0x7d) {
      depth -= 1;
    }
  }
  return deepest;
}
