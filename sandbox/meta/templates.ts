import { z } from 'zod';

/** A template as its owner had it reviewed. */
export const Template = z.strictObject({
  name: z.string().regex(/^[a-z0-9_]{1,512}$/),
  language: z.string().regex(/^[a-z]{2,3}(_[A-Za-z]{2,4})?$/),
  status: z.enum(['APPROVED', 'PENDING', 'REJECTED', 'PAUSED', 'DISABLED']).default('APPROVED'),
  /** With its variables: `{{1}}` or `{{first_name}}`. */
  body: z.string().min(1).max(1_024),
});
export type Template = z.infer<typeof Template>;

/** A variable as a message gives it; without a name it is told by its place. */
export interface Variable {
  name: string | null;
  text: string;
}

export interface Templates {
  replace(templates: readonly Template[]): void;
  list(): readonly Template[];
  /** The text that a message shows, or the error that it is refused with. */
  fill(name: string, language: string, variables: readonly Variable[]): { text: string } | number;
}

// Names that stand for what became of a template; for trying, without having to make one.
const fates: readonly (readonly [prefix: string, code: number])[] = [
  ['missing_', 132001],
  ['paused_', 132015],
  ['disabled_', 132016],
];

/**
 * Templates by name and language. One that was not told of is approved, in every language and for
 * as many variables as it gets, unless its name says otherwise.
 */
export function createTemplates(): Templates {
  let known: readonly Template[] = [];
  return {
    replace(templates) {
      known = [...templates];
    },
    list: () => known,
    fill(name, language, variables) {
      const named = known.filter((template) => template.name === name);
      const template = named.find((one) => one.language === language);
      const fate = fates.find(([prefix]) => name.startsWith(prefix));
      if (named.length === 0) {
        return fate?.[1] ?? { text: plainText(name, variables) };
      }
      if (template === undefined || ['PENDING', 'REJECTED'].includes(template.status)) {
        return 132001;
      }
      if (template.status !== 'APPROVED') {
        return template.status === 'PAUSED' ? 132015 : 132016;
      }
      return filled(template.body, variables);
    },
  };
}

const PLACE = /\{\{\s*(\w+)\s*\}\}/g;
const MAX_TEXT = 1_024;

function filled(body: string, variables: readonly Variable[]): { text: string } | number {
  const wanted = new Set(Array.from(body.matchAll(PLACE), ([, name = '']) => name));
  const given = new Map(variables.map(({ name, text }, n) => [name ?? String(n + 1), text]));
  if (wanted.size !== variables.length) {
    return 132000;
  }
  if ([...wanted].some((name) => !given.has(name))) {
    return 100;
  }
  const text = body.replace(PLACE, (_, name: string) => given.get(name) ?? '');
  return text.length > MAX_TEXT ? 132005 : { text };
}

function plainText(name: string, variables: readonly Variable[]): string {
  const lines = variables.map(({ name: variable, text }, n) => `{{${variable ?? n + 1}}} ${text}`);
  return [`Template ${name}`, ...lines].join('\n');
}
