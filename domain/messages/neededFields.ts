import type { CompiledContent, CompiledPart, PartNode } from './compileContent';

/** What of a customer a message can show besides the address and the name. */
export type CustomerField =
  | 'phone'
  | 'language'
  | 'timeZone'
  | 'externalId'
  | 'tags'
  | 'attributes';

export const allFields: ReadonlySet<CustomerField> = new Set([
  'phone',
  'language',
  'timeZone',
  'externalId',
  'tags',
  'attributes',
]);

/** The fields that the content reads; all of them as soon as Liquid itself has to look. */
export function neededFields(content: CompiledContent): ReadonlySet<CustomerField> {
  const { subject, html, text } = content.parts;
  return fieldsOfParts([subject, html, text]);
}

/** The same of any parts. */
export function fieldsOfParts(parts: readonly CompiledPart[]): ReadonlySet<CustomerField> {
  const needed = new Set<CustomerField>();
  for (const node of parts.flatMap((part) => part.nodes)) {
    if (isForLiquid(node)) {
      return allFields;
    }
    if (node.kind === 'field') {
      const name = node.field.path.split('.')[1];
      for (const field of allFields) {
        if (field === name) {
          needed.add(field);
        }
      }
    }
  }
  return needed;
}

// With more of them, reading all attributes at once is no dearer.
const mostAttributes = 12;

/**
 * The attributes whose values the content prints as they are, when that is all it does with them;
 * null when it needs them whole.
 */
export function printedAttributes(content: CompiledContent): readonly string[] | null {
  const { subject, html, text } = content.parts;
  const names = new Set<string>();
  for (const { nodes } of [subject, html, text]) {
    for (const node of nodes) {
      if (isForLiquid(node)) {
        return null;
      }
      const [, field, name] = node.kind === 'field' ? node.field.path.split('.') : [];
      if (field === 'attributes' && name !== undefined) {
        names.add(name);
      }
    }
  }
  // An object cannot be given a property of this name by setting it.
  return names.size > mostAttributes || names.has('__proto__') ? null : [...names];
}

/** Liquid itself has to look at the customer, and nobody knows at what of it. */
function isForLiquid(node: PartNode): boolean {
  return node.kind === 'silent' || (node.kind === 'liquid' && !node.isConstant);
}
