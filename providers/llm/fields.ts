// What an answer holds is read field by field: whoever answers at an address that a tenant named may
// answer anything, and a schema library costs more than the rest of a call.

export type Fields = Readonly<Record<string, unknown>>;

const noFields: Fields = {};

/** The object in this place; one without fields where there is none. */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : noFields;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text with something in it, or null. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** A finite number, also one that was written as a text; else null. */
export function numberOf(value: unknown): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

/** A count: a whole number that is not negative; 0 for anything else. */
export function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

/** The texts among its items. */
export function textsIn(value: unknown): string[] {
  return listOf(value).filter((item) => typeof item === 'string');
}

/** Undefined for what is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
