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

const maxSchemaLength = 32_768;
const maxPatterns = 50;
const maxAnswerLength = 512 * 1024;
const maxProblems = 20;
const maxProblemLength = 1_000;
const checkTimeoutMs = 100;
// What is compiled is about ten times as large.
const maxKeptLength = 2_000_000;
const compiledAtOnce = 200;

export function createAnswerChecks(): AnswerChecks {
  const kept = new LRUCache<string, Validate>({
    maxSize: maxKeptLength,
    sizeCalculation: (_, text) => text.length + 500,
  });
  let compiler = newCompiler();
  let compiled = 0;

  return {
    of({ schema }) {
      const text = JSON.stringify(schema);
      let validate = kept.get(text);
      if (validate === undefined) {
        // A compiler remembers parts of all it ever compiled.
        compiled += 1;
        compiler = compiled % compiledAtOnce === 0 ? newCompiler() : compiler;
        validate = compile(compiler, schema, text);
        kept.set(text, validate);
      }
      const kind = validate;
      return (answer) => check(kind, answer);
    },
  };
}

/** Compiles schemas one after the other, and counts the patterns of each. */
interface Compiler {
  readonly ajv: Ajv2020;
  patterns: number;
}

function newCompiler(): Compiler {
  const regExp = (pattern: string, flags: string) => {
    compiler.patterns += 1;
    if (compiler.patterns > maxPatterns) {
      throw new RangeError(`it has more than ${maxPatterns} patterns`);
    }
    return new RegExp(pattern, flags);
  };
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    // Schemas come from tenants: two of them may have the same `$id`, and none stays for the other.
    addUsedSchema: false,
    inlineRefs: false,
    logger: false,
    code: { regExp: Object.assign(regExp, { code: 'new RegExp' }) },
  });
  addFormats(ajv);
  const compiler: Compiler = { ajv, patterns: 0 };
  return compiler;
}

interface Validate {
  readonly fits: ValidateFunction;
  readonly words: (errors: ValidateFunction['errors']) => string;
}

function compile(compiler: Compiler, schema: AnswerSchema['schema'], text: string): Validate {
  if (text.length > maxSchemaLength) {
    throw invalidField('schema', 'tooLarge', `A schema has at most ${maxSchemaLength} characters.`);
  }
  const { ajv } = compiler;
  compiler.patterns = 0;
  // The dialect is one for all: what schemas say of it would be looked for elsewhere.
  const { $schema: _, $id: __, $async: ___, ...own } = schema;
  try {
    const fits = ajv.compile(own);
    const options = { dataVar: 'answer', separator: '; ' };
    return { fits, words: (errors) => ajv.errorsText(errors?.slice(0, maxProblems), options) };
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
  if (answer.length > maxAnswerLength) {
    return { problem: 'It is too long.' };
  }
  const json = parsed(answer);
  if (json === undefined) {
    return { problem: 'It is no JSON.' };
  }
  try {
    if (inTime(() => fits(json))) {
      return { json };
    }
  } catch {
    // What takes too long, or a schema that leads into itself.
    return { problem: 'It could not be checked against the schema.' };
  }
  return { problem: words(fits.errors).slice(0, maxProblemLength) };
}

function parsed(answer: string): unknown {
  try {
    return JSON.parse(withoutFence(answer));
  } catch {
    return undefined;
  }
}

// Some models put a fence around it, whatever they are told. By no pattern: it is the model that says
// how long one would look for its end.
function withoutFence(answer: string): string {
  const text = answer.trim();
  const from = text.indexOf('\n');
  if (from === -1 || !text.startsWith(fence) || !text.endsWith(fence)) {
    return text;
  }
  const named = text.slice(fence.length, from).trim();
  return named === '' || named === 'json' ? text.slice(from, -fence.length) : text;
}

const fence = '```';

// A tenant's schema could keep the process busy for ever on the text of a model: V8 gives up only
// where a script has a time limit, which holds for all that it calls.
function inTime(work: () => boolean): boolean {
  limited['work'] = work;
  return script.runInContext(limited, { timeout: checkTimeoutMs }) === true;
}

const limited = createContext({ work: () => false });
const script = new Script('work()');
