import type { z } from 'zod';
import { dottedPath, maxProblems, type FieldProblem } from '../domain/errors';
import { firstOf } from './text';

type Issue = z.core.$ZodIssue;

/** What a schema found wrong, one problem a field, in our words and codes: the first 100. */
export function fieldProblems(error: z.ZodError, unknownKeyCode: UnknownKeyCode): FieldProblem[] {
  return firstOf(problemsOfAll(error.issues, [], unknownKeyCode), maxProblems);
}

export type UnknownKeyCode = 'unknownField' | 'unknownParameter';

function* problemsOfAll(
  issues: readonly Issue[],
  above: readonly PropertyKey[],
  unknownKeyCode: UnknownKeyCode,
): Generator<FieldProblem> {
  for (const issue of issues) {
    yield* problemsOf(issue, [...above, ...issue.path], unknownKeyCode);
  }
}

function* problemsOf(
  issue: Issue,
  path: readonly PropertyKey[],
  unknownKeyCode: UnknownKeyCode,
): Generator<FieldProblem> {
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys) {
        const message =
          unknownKeyCode === 'unknownField' ? 'Is not a field here.' : 'Is not known here.';
        yield problem([...path, key], unknownKeyCode, message);
      }
      return;
    case 'invalid_union':
      if (issue.errors.length === 0) {
        yield problem(path, 'notAllowed', issue.message);
      }
      return yield* problemsOfAll(closestBranch(issue.errors), path, unknownKeyCode);
    case 'invalid_key':
    case 'invalid_element':
      return yield* problemsOfAll(issue.issues, path, unknownKeyCode);
    case 'invalid_type':
      yield issue.input === undefined && issue.message.endsWith('received undefined')
        ? problem(path, 'required', 'Is required.')
        : problem(path, 'wrongType', issue.message);
      return;
    case 'custom':
      yield problem(path, customCode(issue.params), issue.message);
      return;
    case 'too_small':
    case 'too_big':
    case 'invalid_format':
    case 'invalid_value':
    case 'not_multiple_of':
      yield problem(path, codes[issue.code], issue.message);
  }
}

const codes = {
  too_small: 'tooSmall',
  too_big: 'tooBig',
  invalid_format: 'wrongFormat',
  invalid_value: 'notAllowed',
  not_multiple_of: 'notMultiple',
} as const;

function problem(path: readonly PropertyKey[], code: string, message: string): FieldProblem {
  return { path: dottedPath(path), code, message };
}

// Of the forms a value may have, the one it came nearest to is the one to explain.
function closestBranch(branches: readonly Issue[][]): Issue[] {
  const weight = (issues: Issue[]) => {
    const isOfTheWhole = issues.some((issue) => issue.path.length === 0);
    return isOfTheWhole ? 1000 + issues.length : issues.length;
  };
  return [...branches].sort((a, b) => weight(a) - weight(b))[0] ?? [];
}

// A refinement may say its own code: `{ params: { code: 'unknownTimeZone' } }`.
function customCode(params: Record<string, unknown> | undefined): string {
  const code = params?.['code'];
  return typeof code === 'string' ? code : 'invalid';
}
