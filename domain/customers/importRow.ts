import { canonicalZone } from '../campaigns/zones';
import { fitsAttributes, maxAttributeNameLength, maxAttributesBytes } from './attributes';
import { normalizeEmail } from './email';
import { canonicalLanguage } from './language';
import { normalizePhone } from './phone';
import { maxTagLength, maxTags, normalizeTags } from './tags';
import { consentStatuses, type ImportedCustomer, type Rejection } from './types';

/** What a column of a file fills: a field we know, an attribute of that name, or nothing. */
export type Column = { field: Field } | { attribute: string } | null;

/** What is wrong with a header row, or what its columns mean. */
export type Header =
  | { kind: 'columns'; columns: Column[] }
  | { kind: 'unusable'; code: string; message: string };

type Field = Exclude<keyof ImportedCustomer, 'attributes'>;

const maxColumns = 200;

/** A customer is known by at least one of these. */
const identities = ['email', 'phone', 'externalId'] as const;

// Written without case, spaces, dashes and underscores.
const fieldNames: Record<string, Field> = {
  externalid: 'externalId',
  customerid: 'externalId',
  email: 'email',
  emailaddress: 'email',
  mail: 'email',
  phone: 'phone',
  phonenumber: 'phone',
  mobile: 'phone',
  firstname: 'firstName',
  givenname: 'firstName',
  lastname: 'lastName',
  surname: 'lastName',
  familyname: 'lastName',
  language: 'language',
  locale: 'language',
  timezone: 'timeZone',
  tz: 'timeZone',
  tags: 'tags',
  emailconsent: 'emailConsent',
  smsconsent: 'smsConsent',
  whatsappconsent: 'whatsappConsent',
};

/** Reads a header row: names we know become fields, the others attributes, empty ones nothing. */
export function readHeader(cells: readonly string[]): Header {
  if (cells.length > maxColumns) {
    return unusable(
      'tooManyColumns',
      `Has ${cells.length} columns; at most ${maxColumns} are read.`,
    );
  }
  const columns = cells.map(columnOf);
  const targets = columns.map((column) =>
    column === null ? null : 'field' in column ? column.field : `attribute ${column.attribute}`,
  );
  const twice = targets.find((target, at) => target !== null && targets.indexOf(target) !== at);
  if (twice != null) {
    return unusable('duplicateColumn', `Has more than one column for ${twice}.`);
  }
  const long = cells.find((cell) => cell.trim().length > maxAttributeNameLength);
  if (long !== undefined) {
    return unusable(
      'columnNameTooLong',
      `The name of a column may have at most ${maxAttributeNameLength} characters: "${long.trim().slice(0, 20)}…".`,
    );
  }
  if (cells.some((cell) => cell.includes('\u0000'))) {
    return unusable('nulCharacter', 'The name of a column holds the NUL character.');
  }
  if (!identities.some((field) => targets.includes(field))) {
    const hint =
      cells.length === 1 && /[;\t]/.test(cells[0] ?? '') ? ' Separate columns by commas.' : '';
    return unusable(
      'noUsableColumn',
      `The first row names no column "email", "phone" or "externalId", by which a customer is known.${hint}`,
    );
  }
  return { kind: 'columns', columns };
}

function columnOf(cell: string): Column {
  const name = cell.trim();
  if (name === '') {
    return null;
  }
  const field = fieldNames[name.toLowerCase().replace(/[\s_-]/g, '')];
  return field === undefined ? { attribute: name } : { field };
}

function unusable(code: string, message: string): Header {
  return { kind: 'unusable', code, message };
}

/** The customer one row speaks of, or the first reason why it cannot be imported. */
export function readImportRow(
  columns: readonly Column[],
  { row, cells }: { row: number; cells: readonly string[] },
): { customer: ImportedCustomer } | { rejection: Rejection } {
  if (cells.length !== columns.length) {
    return rejected(row, {
      field: null,
      code: 'wrongColumnCount',
      reason: `Has ${cells.length} cells where the header has ${columns.length}.`,
    });
  }
  const customer: ImportedCustomer = { ...nothing };
  const attributes: Record<string, string> = {};
  for (const [at, column] of columns.entries()) {
    const text = cells[at]?.trim() ?? '';
    if (column === null || text === '') {
      continue;
    }
    const field = 'field' in column ? column.field : column.attribute;
    if (text.includes('\u0000')) {
      return rejected(row, { field, code: 'nulCharacter', reason: 'Holds the NUL character.' });
    }
    if ('attribute' in column) {
      attributes[column.attribute] = text;
      continue;
    }
    const refusal = fill(customer, column.field, text);
    if (refusal !== null) {
      return rejected(row, { field, ...refusal });
    }
  }
  if (identities.every((field) => customer[field] === null)) {
    return rejected(row, {
      field: 'email',
      code: 'identityMissing',
      reason: 'Has no email, phone or external id, by which a customer is known.',
    });
  }
  if (!fitsAttributes(attributes)) {
    return rejected(row, {
      field: 'attributes',
      code: 'attributesTooLarge',
      reason: `The columns kept as attributes have more than ${maxAttributesBytes} bytes.`,
    });
  }
  if (Object.keys(attributes).length > 0) {
    customer.attributes = attributes;
  }
  return { customer };
}

const nothing: ImportedCustomer = {
  externalId: null,
  email: null,
  phone: null,
  firstName: null,
  lastName: null,
  language: null,
  timeZone: null,
  tags: null,
  attributes: null,
  emailConsent: null,
  smsConsent: null,
  whatsappConsent: null,
};

interface Refusal {
  code: string;
  reason: string;
}

function fill(customer: ImportedCustomer, field: Field, text: string): Refusal | null {
  switch (field) {
    case 'externalId':
      return fillText(customer, field, text, 200);
    case 'firstName':
    case 'lastName':
      return fillText(customer, field, text, 100);
    case 'email':
    case 'phone':
    case 'language':
    case 'timeZone': {
      const { normalize, ...refusal } = normalizers[field];
      const value = normalize(text);
      customer[field] = value;
      return value === null ? refusal : null;
    }
    case 'tags':
      return fillTags(customer, text);
    case 'emailConsent':
    case 'smsConsent':
    case 'whatsappConsent': {
      const status = consentStatuses.find((each) => each === text.toLowerCase());
      customer[field] = status ?? null;
      return status === undefined
        ? { code: 'wrongConsent', reason: `Is not one of ${consentStatuses.join(', ')}.` }
        : null;
    }
  }
}

const normalizers = {
  email: {
    normalize: normalizeEmail,
    code: 'wrongEmail',
    reason: 'Is not an email address mail can be sent to.',
  },
  phone: {
    normalize: normalizePhone,
    code: 'wrongPhone',
    reason: 'Is not a phone number in E.164, such as "+4930123456".',
  },
  language: {
    normalize: canonicalLanguage,
    code: 'wrongLanguage',
    reason: 'Is not a BCP 47 language tag, such as "en" or "pt-BR".',
  },
  timeZone: {
    normalize: canonicalZone,
    code: 'unknownTimeZone',
    reason: 'Is not an IANA time zone, such as "Europe/Berlin".',
  },
} as const;

function fillText(
  customer: ImportedCustomer,
  field: 'externalId' | 'firstName' | 'lastName',
  text: string,
  maxLength: number,
): Refusal | null {
  customer[field] = text;
  return text.length > maxLength
    ? { code: 'tooBig', reason: `Has more than ${maxLength} characters.` }
    : null;
}

function fillTags(customer: ImportedCustomer, text: string): Refusal | null {
  const tags = normalizeTags(text.split(/[;|,]/));
  customer.tags = tags;
  if (tags.length > maxTags) {
    return { code: 'tooManyTags', reason: `Has more than ${maxTags} tags.` };
  }
  return tags.some((tag) => tag.length > maxTagLength)
    ? { code: 'tooBig', reason: `Has a tag of more than ${maxTagLength} characters.` }
    : null;
}

function rejected(row: number, refusal: Omit<Rejection, 'row'>): { rejection: Rejection } {
  return { rejection: { row, ...refusal } };
}
