import type { z } from 'zod';
import type { FieldProblem } from '../domain/errors';

type Issue = z.core.$ZodIssue;

/** What a schema found wrong, one problem a field, in our words and codes. */
export function fieldProblems(error: z.ZodError, unknownKeyCode: UnknownKeyCode): FieldProblem[] {
  return error.issues.flatMap((issue) => problemsOf(issue, [], unknownKeyCode));
}

export type UnknownKeyCode = 'unknownField' | 'unknownParameter';

function problemsOf(
  issue: Issue,
  above: readonly PropertyKey[],
  unknownKeyCode: UnknownKeyCode,
): FieldProblem[] {
  const path = [...above, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: dotted([...path, key]),
        code: unknownKeyCode,
        message: unknownKeyCode === 'unknownField' ? 'Is not a field here.' : 'Is not known here.',
      }));
    case 'invalid_union':
      return closestBranch(issue.errors)
        .flatMap((inner) => problemsOf(inner, path, unknownKeyCode))
        .concat(issue.errors.length === 0 ? [problem(path, 'notAllowed', issue.message)] : []);
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues.flatMap((inner) => problemsOf(inner, path, unknownKeyCode));
    case 'invalid_type':
      return [
        issue.input === undefined && issue.message.endsWith('received undefined')
          ? problem(path, 'required', 'Is required.')
          : problem(path, 'wrongType', issue.message),
      ];
    case 'custom':
      return [problem(path, customCode(issue.params), issue.message)];
    case 'too_small':
    case 'too_big':
    case 'invalid_format':
    case 'invalid_value':
    case 'not_multiple_of':
      return [problem(path, codes[issue.code], issue.message)];
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
  return { path: dotted(path), code, message };
}

function dotted(path: readonly PropertyKey[]): string {
  return path.map(String).join('.');
}

// Of the forms a value may have, the one it came nearest to is the one to explain.
function closestBranch(branches: readonly Issue[][]): Issue[] {
  const weight = (issues: Issue[]) => {
    const depths = issues.map((issue) => issue.path.length);
    return Math.min(...depths) === 0 ? 1000 + issues.length : issues.length;
  };
  return [...branches].sort((a, b) => weight(a) - weight(b))[0] ?? [];
}

// A refinement may say its own code: `{ params: { code: 'unknownTimeZone' } }`.
function customCode(params: Record<string, unknown> | undefined): string {
  const code = params?.['code'];
  return typeof code === 'string' ? code : 'invalid';
}
