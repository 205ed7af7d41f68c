export const maxAttributesBytes = 8 * 1024;
export const maxAttributeNameLength = 64;

type Scalar = string | number | boolean | null;
export type AttributeValue = Scalar | Scalar[] | { [name: string]: Scalar };
export type Attributes = Record<string, AttributeValue>;

/** Whether the attributes are small enough to be kept, as UTF-8 of their JSON. */
export function fitsAttributes(attributes: Attributes): boolean {
  return new TextEncoder().encode(JSON.stringify(attributes)).length <= maxAttributesBytes;
}

/** The attributes after a change: given names replace, null removes, the others stay (RFC 7396). */
export function mergeAttributes(stored: Attributes, change: Attributes): Attributes {
  return Object.fromEntries(
    Object.entries({ ...stored, ...change }).filter(([, value]) => value !== null),
  );
}
