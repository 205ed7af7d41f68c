import type { Recipient } from './content';

/** The names a template can read, and the fields under them; null where any name is right. */
const FIELDS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  [
    'customer',
    new Set([
      'attributes',
      'email',
      'externalId',
      'firstName',
      'language',
      'lastName',
      'phone',
      'tags',
      'timeZone',
    ]),
  ],
  ['campaign', new Set(['name'])],
  ['tenant', new Set(['name'])],
  ['links', new Set(['unsubscribe'])],
]);

/** The names that belong to the product; templates cannot assign to them. */
export const ROOT_NAMES: ReadonlySet<string> = new Set(FIELDS.keys());

/** Says what is wrong with a path such as `customer.fristName`, or null. */
export function fieldProblem(root: string, field: string | undefined): string | null {
  const fields = FIELDS.get(root);
  if (!fields) {
    return `unknown name "${root}": there are ${[...FIELDS.keys()].join(', ')}`;
  }
  if (field === undefined || fields.has(field)) {
    return null;
  }
  const hint = root === 'customer' ? `; own attributes are customer.attributes.${field}` : '';
  return `unknown field "${root}.${field}": there are ${[...fields].join(', ')}${hint}`;
}

/** The same for a message that was asked for with data of its own, which may have any names. */
export function fieldProblemBesideData(root: string, field: string | undefined): string | null {
  if (root === 'data') {
    return null;
  }
  return root === 'customer' || root === 'tenant'
    ? fieldProblem(root, field)
    : `unknown name "${root}": there are data, customer, tenant`;
}

/** How one output that needs no Liquid at run time is read. */
export interface PlainField {
  /** Equal for outputs that show the same. */
  key: string;
  /** Such as `customer.firstName` or `customer.attributes.city`. */
  path: string;
  read: (recipient: Recipient) => unknown;
  /** The argument of the `default` filter. */
  fallback: string | null;
}

const READERS: Readonly<Record<string, (recipient: Recipient) => unknown>> = {
  'customer.email': (recipient) => recipient.email,
  'customer.externalId': (recipient) => recipient.externalId,
  'customer.firstName': (recipient) => recipient.firstName,
  'customer.language': (recipient) => recipient.language,
  'customer.lastName': (recipient) => recipient.lastName,
  'customer.phone': (recipient) => recipient.phone,
  'customer.timeZone': (recipient) => recipient.timeZone,
  'links.click': (recipient) => recipient.links.click,
  'links.open': (recipient) => recipient.links.open,
  'links.unsubscribe': (recipient) => recipient.links.unsubscribe,
};

const PLAIN_OUTPUT =
  /^\{\{-?\s*([a-zA-Z]+\.[a-zA-Z_]\w*(?:\.[a-zA-Z_]\w*)?)\s*(?:\|\s*default\s*:\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*)?-?\}\}$/;

// Liquid computes these when an attribute of the name is missing.
const COMPUTED = new Set(['first', 'last', 'size']);

/**
 * Reads the source of an output such as `{{ customer.firstName | default: "friend" }}`; null when
 * it is anything more, which Liquid must then render.
 */
export function parsePlainField(outputSource: string): PlainField | null {
  const match = PLAIN_OUTPUT.exec(outputSource);
  const path = match?.[1];
  if (!match || path === undefined) {
    return null;
  }
  const fallback = match[2] ?? match[3] ?? null;
  const key = JSON.stringify([path, fallback]);
  const read = READERS[path];
  if (read) {
    return { key, path, read, fallback };
  }
  const attribute = /^customer\.attributes\.(\w+)$/.exec(path)?.[1];
  if (attribute === undefined || COMPUTED.has(attribute)) {
    return null;
  }
  return {
    key,
    path,
    read: ({ attributes }) => (Object.hasOwn(attributes, attribute) ? attributes[attribute] : null),
    fallback,
  };
}

/** A field's value as Liquid prints it, or null when the value is no simple one. */
export function printField(value: unknown, fallback: string | null): string | null {
  if (value === null || value === undefined || value === '' || value === false) {
    return fallback ?? (value === false ? 'false' : '');
  }
  if (typeof value === 'string') {
    return value;
  }
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}
