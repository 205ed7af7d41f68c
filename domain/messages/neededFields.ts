import type { CompiledContent, CompiledPart } from './compileContent';

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
    if (node.kind === 'silent' || (node.kind === 'liquid' && !node.isConstant)) {
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
