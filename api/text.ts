import { dottedPath, maxProblems, type FieldProblem } from '../domain/errors';

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

/** The texts in a JSON value that Postgres could not keep, and the keys that are traps: 100 at most. */
export function textProblems(value: unknown): FieldProblem[] {
  return firstOf(problemsIn(value, []), maxProblems);
}

// Lazy: what lies behind the hundredth problem is not walked.
function* problemsIn(value: unknown, path: string[]): Generator<FieldProblem> {
  if (typeof value === 'string') {
    const problem = textProblem(value);
    if (problem !== null) {
      yield { path: dottedPath(path), ...problem };
    }
    return;
  }
  if (typeof value !== 'object' || value === null) {
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    const keyProblem = key === '__proto__' ? prototypeKey : textProblem(key);
    path.push(key);
    if (keyProblem === null) {
      yield* problemsIn(item, path);
    } else {
      yield { path: dottedPath(path), ...keyProblem };
    }
    path.pop();
  }
}

/** The first items, without asking for one more. */
export function firstOf<T>(items: Iterable<T>, count: number): T[] {
  const first: T[] = [];
  for (const item of items) {
    first.push(item);
    if (first.length === count) {
      break;
    }
  }
  return first;
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
