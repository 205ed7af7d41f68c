import type { Problems } from './errors';
import type { MailAddress } from './mail';

export type JsonObject = Record<string, unknown>;

const ADDRESS = /^[^\s@<>()[\],;:"\\]+@[^\s@<>()[\],;:"\\.]+(\.[^\s@<>()[\],;:"\\.]+)+$/;
const NOTHING: Record<string, string> = {};

export function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One address object; problems are noted under `field`. */
export function readAddress(
  value: unknown,
  field: string,
  problems: Problems,
  invalid = 'Does not contain a valid address.',
): MailAddress {
  const { email, name } = isRecord(value) ? value : {};
  if (typeof email !== 'string' || !ADDRESS.test(email)) {
    problems.add(`${field}.email`, invalid, helpTopic(field));
  }
  if (name !== undefined && name !== null && typeof name !== 'string') {
    problems.add(`${field}.name`, 'The name must be a string.', helpTopic(field));
  }
  return {
    email: typeof email === 'string' ? email : '',
    name: typeof name === 'string' && name !== '' ? name : null,
  };
}

/** A list of addresses, empty when it is not given. */
export function readAddresses(value: unknown, field: string, problems: Problems): MailAddress[] {
  if (value === undefined) {
    return [];
  }
  if (!Array.isArray(value)) {
    problems.add(
      field,
      `The ${field.split('.').at(-1)} parameter must be an array.`,
      helpTopic(field),
    );
    return [];
  }
  return value.map((item: unknown, index) => {
    const address = readAddress(item, `${field}.${index}`, problems);
    if (address.name !== null && /[;,]/.test(address.name)) {
      problems.add(
        `${field}.${index}.name`,
        'The name may not contain a semicolon or a comma.',
        helpTopic(field),
      );
    }
    return address;
  });
}

/** An object of texts, empty when it is not given. */
export function readStrings(
  value: unknown,
  field: string,
  problems: Problems,
): Record<string, string> {
  if (value === undefined || value === null) {
    return NOTHING;
  }
  if (!isRecord(value)) {
    problems.add(field, `The ${field.split('.').at(-1)} must be an object of strings.`);
    return NOTHING;
  }
  if (holdsTextsOnly(value)) {
    return value;
  }
  for (const key in value) {
    if (typeof value[key] !== 'string') {
      problems.add(`${field}.${key}`, 'The value must be a string.');
    }
  }
  return NOTHING;
}

function holdsTextsOnly(value: JsonObject): value is Record<string, string> {
  for (const key in value) {
    if (typeof value[key] !== 'string') {
      return false;
    }
  }
  return true;
}

// personalizations.3.to.0 is explained under message.personalizations.to
function helpTopic(field: string): string {
  return `message.${field.replace(/\.\d+/g, '')}`;
}
