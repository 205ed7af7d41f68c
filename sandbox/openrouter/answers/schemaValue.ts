import type { Brief } from './brief';
import { writeCopy, type CopyKind } from './copy';
import type { Dice } from './dice';

export type JsonObject = Readonly<Record<string, unknown>>;

const DEEPEST = 8;
const SEVERAL = 3;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Place {
  /** The name of the property, or of the list it is in. */
  name: string;
  /** The list that its object is in. */
  list: string;
  /** Which of a list it is. */
  at: number;
  depth: number;
}

/** A value that fits a JSON Schema, its texts written for the brief. */
export function valueFor(schema: unknown, brief: Brief, dice: Dice): unknown {
  const root = isObject(schema) ? schema : {};
  return build(schema, { name: '', list: '', at: 0, depth: 0 });

  function build(given: unknown, place: Place): unknown {
    if (given === true || !isObject(given)) {
      return writeCopy('sentence', brief, dice, place.at);
    }
    const wanted = resolve(given);
    if ('const' in wanted) {
      return wanted.const;
    }
    if (Array.isArray(wanted.enum) && wanted.enum.length > 0) {
      return wanted.enum[(place.at + dice.shift) % wanted.enum.length];
    }
    switch (typeOf(wanted, place)) {
      case 'object':
        return objectFor(wanted, place);
      case 'array':
        return listFor(wanted, place);
      case 'integer':
        return numberFor(wanted, 1);
      case 'number':
        return numberFor(wanted, 0);
      case 'boolean':
        return dice.next() < 0.5;
      case 'null':
        return null;
      default:
        return stringFor(wanted, place, brief, dice);
    }
  }

  function objectFor(wanted: JsonObject, { name: list, depth, at }: Place): unknown {
    const properties = isObject(wanted.properties) ? wanted.properties : {};
    const required: readonly unknown[] = Array.isArray(wanted.required) ? wanted.required : [];
    const made: Record<string, unknown> = {};
    for (const [name, schemaOf] of Object.entries(properties)) {
      if (depth < DEEPEST || required.includes(name)) {
        made[name] = build(schemaOf, { name, list, at, depth: depth + 1 });
      }
    }
    for (const name of required) {
      if (typeof name === 'string' && !(name in made)) {
        made[name] = build(wanted.additionalProperties ?? true, {
          name,
          list,
          at,
          depth: depth + 1,
        });
      }
    }
    return made;
  }

  function listFor(wanted: JsonObject, { name, list, depth }: Place): unknown[] {
    const fixed: readonly unknown[] = Array.isArray(wanted.prefixItems) ? wanted.prefixItems : [];
    const least = numberOr(wanted.minItems, 0);
    const most = numberOr(wanted.maxItems, Math.max(SEVERAL, least));
    const count = depth > DEEPEST ? least : Math.min(most, Math.max(least, SEVERAL));
    const made: unknown[] = [];
    const seen = new Set<string>();
    // A list without repetitions may need more tries than items.
    for (let at = 0; made.length < count && at < count * 4 + 10; at += 1) {
      const item = build(fixed[made.length] ?? wanted.items, { name, list, at, depth: depth + 1 });
      const text = wanted.uniqueItems === true ? JSON.stringify(item) : String(at);
      if (!seen.has(text)) {
        seen.add(text);
        made.push(item);
      }
    }
    return made;
  }

  function numberFor(wanted: JsonObject, step: number): number {
    const every = numberOr(wanted.multipleOf, step);
    const above = numberOr(wanted.exclusiveMinimum, NaN);
    const below = numberOr(wanted.exclusiveMaximum, NaN);
    const gap = every || 0.01;
    const least = numberOr(wanted.minimum, Number.isNaN(above) ? 0 : above + gap);
    const span = least === 0 && every === 0 ? 1 : Math.max(10, 10 * gap);
    const most = numberOr(wanted.maximum, Number.isNaN(below) ? least + span : below - gap);
    const drawn = least + dice.next() * (most - least);
    if (every === 0) {
      return Math.min(most, Math.max(least, Math.round(drawn * 100) / 100));
    }
    const first = Math.ceil(least / every);
    const last = Math.floor(most / every);
    return Math.min(last, Math.max(first, Math.round(drawn / every))) * every;
  }

  // References, alternatives and conjunctions become one plain schema.
  function resolve(given: JsonObject, left = 20): JsonObject {
    if (left === 0) {
      return given;
    }
    if (typeof given.$ref === 'string') {
      const target = find(given.$ref);
      return target ? resolve({ ...target, ...without(given, '$ref') }, left - 1) : {};
    }
    for (const key of ['anyOf', 'oneOf'] as const) {
      const choices = given[key];
      if (Array.isArray(choices)) {
        const choice: unknown = choices.find((each) => isObject(each) && each.type !== 'null');
        return resolve({ ...without(given, key), ...(isObject(choice) ? choice : {}) }, left - 1);
      }
    }
    const { allOf } = given;
    if (Array.isArray(allOf)) {
      let merged: JsonObject = without(given, 'allOf');
      for (const part of allOf) {
        merged = merge(merged, isObject(part) ? resolve(part, left - 1) : {});
      }
      return merged;
    }
    return given;
  }

  function find(reference: string): JsonObject | null {
    let at: unknown = root;
    for (const part of reference.replace(/^#\/?/, '').split('/').filter(Boolean)) {
      const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
      at = isObject(at) ? at[name] : undefined;
    }
    return isObject(at) ? at : null;
  }
}

function typeOf(wanted: JsonObject, { depth }: Place): string {
  const { type } = wanted;
  if (Array.isArray(type)) {
    const types: readonly unknown[] = type;
    // What may end is ended where it grows too deep.
    if (depth > DEEPEST && types.includes('null')) {
      return 'null';
    }
    return (
      types.find((each): each is string => typeof each === 'string' && each !== 'null') ?? 'null'
    );
  }
  if (typeof type === 'string') {
    return type;
  }
  return isObject(wanted.properties) ? 'object' : wanted.items === undefined ? 'string' : 'array';
}

function merge(one: JsonObject, other: JsonObject): JsonObject {
  const lists = [one.required, other.required].flatMap((list): unknown[] =>
    Array.isArray(list) ? list : [],
  );
  const properties = {
    ...(isObject(one.properties) ? one.properties : {}),
    ...(isObject(other.properties) ? other.properties : {}),
  };
  return {
    ...one,
    ...other,
    ...(lists.length > 0 ? { required: [...new Set(lists)] } : {}),
    ...(Object.keys(properties).length > 0 ? { properties } : {}),
  };
}

function without(given: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(given).filter(([name]) => name !== key));
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}

// By the name of a property: the first that fits.
const kinds: readonly (readonly [RegExp, CopyKind])[] = [
  [/subject|headline|title|betreff|überschrift|objet|asunto/i, 'subject'],
  [/pre_?header|preview|teaser|summary|snippet/i, 'preheader'],
  [/cta|button|call_?to|action/i, 'call'],
  [/tone|style|mood|sentiment/i, 'tone'],
  [/reason|rationale|why|explanation|hypothesis/i, 'reason'],
  [/brand|company|sender/i, 'brand'],
  [/product|topic|item|name/i, 'product'],
  [/tag|keyword|category|label|term/i, 'keyword'],
  [/body|text|html|content|message|paragraph|copy|answer|reply|description/i, 'body'],
];

function stringFor(wanted: JsonObject, place: Place, brief: Brief, dice: Dice): string {
  const formatted = formats(wanted.format, brief, dice) ?? namedFormat(place.name, brief);
  const least = numberOr(wanted.minLength, 0);
  const most = numberOr(wanted.maxLength, Infinity);
  if (formatted !== null && formatted.length >= least && formatted.length <= most) {
    return formatted;
  }
  const kind = (GENERAL.test(place.name) ? kindOf(place.list) : null) ?? kindOf(place.name);
  let text = writeCopy(kind ?? 'sentence', brief, dice, place.at);
  // Another phrase may fit where this one has to be cut.
  for (let next = 1; text.length > most && next < 8; next += 1) {
    text = writeCopy(kind ?? 'sentence', brief, dice, place.at + next * 7);
  }
  if (/html/i.test(place.name)) {
    text = `<p>${text}</p>`;
  }
  while (text.length < least) {
    text = `${text} ${writeCopy('sentence', brief, dice, place.at + text.length)}`.trim();
  }
  return fit(text, least, most);
}

// Of `subjects: [{ text }]` the list says what it is.
const GENERAL = /^(?:text|value|content|copy|line)$/i;

function kindOf(name: string): CopyKind | null {
  return kinds.find(([pattern]) => pattern.test(name))?.[1] ?? null;
}

function formats(format: unknown, brief: Brief, dice: Dice): string | null {
  const day = `2026-0${dice.between(1, 9)}-1${dice.between(0, 9)}`;
  switch (format) {
    case 'date':
      return day;
    case 'date-time':
      return `${day}T09:00:00Z`;
    case 'time':
      return '09:00:00Z';
    case 'email':
      return brief.email ?? 'ana@example.com';
    case 'uri':
    case 'url':
      return 'https://www.example.com/';
    case 'uuid':
      return '0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b';
    case 'hostname':
      return 'www.example.com';
    case 'ipv4':
      return '192.0.2.1';
    default:
      return null;
  }
}

// What tools ask for and a prompt often says.
function namedFormat(name: string, brief: Brief): string | null {
  if (/e_?-?mail/i.test(name) && !/subject|body|text/i.test(name)) {
    return brief.email ?? 'ana@example.com';
  }
  if (/(?:order|invoice|ticket|customer|tracking).*(?:id|number|no)$|^(?:id|number)$/i.test(name)) {
    return brief.number ?? '10042';
  }
  if (/^(?:url|link|href|website)$/i.test(name)) {
    return 'https://www.example.com/';
  }
  if (/^(?:language|locale|lang)$/i.test(name)) {
    return brief.language;
  }
  if (/^(?:query|question|search)/i.test(name)) {
    return brief.question.trim().slice(0, 200) || null;
  }
  return null;
}

// Cut between two words where that leaves enough.
function fit(text: string, least: number, most: number): string {
  if (text.length <= most) {
    return text;
  }
  const cut = text.slice(0, most);
  const space = cut.lastIndexOf(' ');
  const kept = (space > most / 2 ? cut.slice(0, space) : cut).replace(/[\s,:;–-]+$/u, '');
  return kept.length >= least ? kept : cut;
}
