import { createContext, Script } from 'node:vm';
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { LRUCache } from 'lru-cache';
import { invalidField } from '../domain/errors';
import type { AnswerSchema } from '../domain/llm/types';

/** What an answer says, or what is wrong with it, in words a model can follow. */
export type Checked = { readonly json: unknown } | { readonly problem: string };

/** Checks answers against the schemas they were asked in. */
export interface AnswerChecks {
  /** @throws AppError invalid, naming `schema`, for one that is too large or is none */
  of(schema: AnswerSchema): (text: string) => Checked;
}

const maxSchemaBytes = 32_768;
const maxKept = 200;
const maxProblemLength = 1_000;
const patternTimeoutMs = 50;

export function createAnswerChecks(): AnswerChecks {
  const kept = new LRUCache<string, Validate>({ max: maxKept });
  let compiler = newCompiler();
  let compiled = 0;

  return {
    of({ schema }) {
      const text = JSON.stringify(schema);
      let validate = kept.get(text);
      if (validate === undefined) {
        // A compiler remembers parts of all it ever compiled.
        compiled += 1;
        compiler = compiled % maxKept === 0 ? newCompiler() : compiler;
        validate = compile(compiler, schema, text);
        kept.set(text, validate);
      }
      const kind = validate;
      return (answer) => check(kind, answer);
    },
  };
}

function newCompiler(): Ajv2020 {
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    // Schemas come from tenants: two of them may have the same `$id`, and none stays for the other.
    addUsedSchema: false,
    inlineRefs: false,
    logger: false,
    code: { regExp: boundedPattern },
  });
  addFormats(ajv);
  return ajv;
}

interface Validate {
  readonly fits: ValidateFunction;
  readonly words: (errors: ValidateFunction['errors']) => string;
}

function compile(ajv: Ajv2020, schema: AnswerSchema['schema'], text: string): Validate {
  if (text.length > maxSchemaBytes) {
    throw invalidField('schema', 'tooLarge', `A schema has at most ${maxSchemaBytes} characters.`);
  }
  // The dialect is one for all: what schemas say of it would be looked for elsewhere.
  const { $schema: _, $id: __, $async: ___, ...own } = schema;
  try {
    const fits = ajv.compile(own);
    const options = { dataVar: 'answer', separator: '; ' };
    return { fits, words: (errors) => ajv.errorsText(errors, options) };
  } catch (error) {
    const why = error instanceof Error ? error.message : '';
    throw invalidField(
      'schema',
      'invalidSchema',
      `This is no JSON Schema that can be used: ${why}`,
    );
  }
}

function check({ fits, words }: Validate, answer: string): Checked {
  const json = parsed(answer);
  if (json === undefined) {
    return { problem: 'It is no JSON.' };
  }
  try {
    if (fits(json)) {
      return { json };
    }
  } catch {
    // A pattern that takes too long, or a schema that leads into itself.
    return { problem: 'It could not be checked against the schema.' };
  }
  return { problem: words(fits.errors).slice(0, maxProblemLength) };
}

// Some models put a fence around it, whatever they are told.
function parsed(answer: string): unknown {
  const [, fenced] = /^\s*```(?:json)?\s*\n([\s\S]*?)\n\s*```\s*$/.exec(answer) ?? [];
  try {
    return JSON.parse(fenced ?? answer);
  } catch {
    return undefined;
  }
}

// A tenant's pattern could keep the process busy for ever on the text of a model: V8 gives up only
// where a script has a time limit.
function boundedPattern(pattern: string, flags: string) {
  const test = new RegExp(pattern, flags);
  const context = createContext({ test, text: '' });
  const script = new Script('test.test(text)');
  return {
    // By it the compiler tells patterns apart.
    toString: () => String(test),
    test(text: string): boolean {
      context['text'] = text;
      return script.runInContext(context, { timeout: patternTimeoutMs }) === true;
    },
  };
}
boundedPattern.code = 'boundedPattern';
