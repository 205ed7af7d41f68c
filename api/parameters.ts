import { z } from 'zod';
import { AppError, invalid, notFound, type FieldProblem } from '../domain/errors';
import { isId } from '../lib/ids';
import type { ApiContext } from './context';
import { fieldProblems } from './problems';
import { textProblem } from './text';

/** What a path parameter is: the id of a resource, or a text with a schema of its own. */
export type ParamSpec =
  | string
  | {
      readonly what: string;
      readonly schema: z.ZodType<string>;
      /** It is never stored nor looked for as it is, so that it may hold what Postgres cannot keep. */
      readonly isAnyText?: boolean;
    };
export type ParamSpecs = Readonly<Record<string, ParamSpec>>;

/** The path parameters; what cannot be the name of a thing answers 404, as an unknown one does. */
export function parseParams(specs: ParamSpecs, context: ApiContext): Record<string, string> {
  const given: unknown = context['params'];
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, parseParam(spec, textOf(given, name))]),
  );
}

function parseParam(spec: ParamSpec, text: string): string {
  if (typeof spec === 'string') {
    if (!isId(text)) {
      throw notFound(spec);
    }
    return text.toLowerCase();
  }
  const parsed = spec.schema.safeParse(text);
  if (!parsed.success || (spec.isAnyText !== true && textProblem(text) !== null)) {
    throw notFound(spec.what);
  }
  return parsed.data;
}

/** For addresses in mail, to which other programs add parameters of their own: none is looked at. */
export const ignoredQuery = z.unknown();

/** The query string by its schema; without one no parameter is allowed. */
export function parseQuery(schema: z.ZodType | undefined, context: ApiContext): unknown {
  if (schema === ignoredQuery) {
    return undefined;
  }
  const given: Record<string, unknown> = { ...context.query };
  const problems = Object.entries(given).flatMap(([name, value]) => queryProblem(name, value));
  if (problems.length > 0) {
    throw invalid(problems);
  }
  if (schema === undefined) {
    refuseAll(Object.keys(given));
    return undefined;
  }
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw invalid(fieldProblems(parsed.error, 'unknownParameter'));
  }
  return parsed.data;
}

function queryProblem(name: string, value: unknown): FieldProblem[] {
  if (typeof value !== 'string') {
    return [{ path: name, code: 'repeated', message: 'May be given only once.' }];
  }
  if (value.includes('\u{FFFD}')) {
    throw new AppError('malformed', 'malformedQuery', `The parameter ${name} is not valid UTF-8.`);
  }
  const problem = textProblem(value);
  return problem === null ? [] : [{ path: name, ...problem }];
}

function refuseAll(names: string[]): void {
  if (names.length > 0) {
    throw invalid(
      names.map((path) => ({ path, code: 'unknownParameter', message: 'Is not known here.' })),
    );
  }
}

function textOf(params: unknown, name: string): string {
  if (typeof params !== 'object' || params === null) {
    return '';
  }
  const value: unknown = Reflect.get(params, name);
  return typeof value === 'string' ? value : '';
}
