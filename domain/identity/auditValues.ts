/** What an entry of the audit log may hold of a thing before and after a change. */
export type AuditValues = Readonly<Record<string, unknown>>;

/** What stands in the place of a value that nobody may read in the log. */
export const hidden = '[hidden]';

const maxDepth = 6;
const maxItems = 50;
const maxTextLength = 500;
const maxBytes = 16 * 1024;

// Names of what opens something. A name is looked at in its words, so that `apiKey` and `key_hash`
// are found and `monkey` is not.
const secretWords = new Set([
  'password',
  'passwords',
  'passphrase',
  'hash',
  'token',
  'tokens',
  'secret',
  'secrets',
  'credential',
  'credentials',
  'seed',
  'key',
  'keys',
  'otp',
  'totp',
  'pin',
  'codes',
  'recovery',
  'authorization',
  'cookie',
  'signature',
  'private',
  'sealed',
]);

// They name a thing and do not open it.
const harmlessNames = new Set(['kid', 'keyId', 'apiKeyId', 'sessionId', 'failureCode']);

// Texts that open something wherever they stand: our API keys, JWTs, keys of vendors, PEM blocks,
// what stands before the @ of an address in the web, and headers.
const secretTexts = [
  /\bck_[\w-]{8,}/,
  /\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/,
  /\bSG\.[\w-]{8,}/,
  /\bsk[-_][\w-]{8,}/,
  /-----BEGIN [A-Z ]+-----/,
  /\/\/[^/\s:@]*:[^/\s@]+@/,
  /\b(bearer|basic) +[\w.~+/=-]{8,}/i,
];

/**
 * The values as the log may keep them for ever: nothing in them opens anything, and they are small.
 * What is secret by its name or by its form is replaced; long texts and lists are cut.
 */
export function auditable(values: AuditValues): AuditValues {
  const kept = keepObject(values, 0);
  return JSON.stringify(kept).length > maxBytes ? { tooLarge: true } : kept;
}

/** Only what a change made different, of both sides. */
export function differences(
  before: AuditValues,
  after: AuditValues,
): { before: AuditValues; after: AuditValues } {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  const of = (values: AuditValues) =>
    Object.fromEntries(names.filter((name) => name in values).map((name) => [name, values[name]]));
  return { before: of(before), after: of(after) };
}

function keepObject(values: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values)
      .slice(0, maxItems)
      .map(([name, value]) => [
        keepText(name),
        isSecretName(name) && value !== null && typeof value !== 'boolean'
          ? hidden
          : keep(value, depth + 1),
      ]),
  );
}

function keep(value: unknown, depth: number): unknown {
  if (typeof value === 'string') {
    return keepText(value);
  }
  if (value instanceof Date) {
    return value.toISOString();
  }
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) {
    return value;
  }
  if (typeof value !== 'object' || depth > maxDepth || ArrayBuffer.isView(value)) {
    return value === undefined ? undefined : hidden;
  }
  return Array.isArray(value)
    ? value.slice(0, maxItems).map((item: unknown) => keep(item, depth + 1))
    : keepObject(value, depth);
}

function keepText(text: string): string {
  if (secretTexts.some((form) => form.test(text))) {
    return hidden;
  }
  const cut = text.length > maxTextLength ? `${text.slice(0, maxTextLength)}…` : text;
  // Postgres keeps no zero character and no half of a pair in jsonb.
  return cut.replace(/[\p{Cc}\p{Surrogate}]/gu, '\u{FFFD}');
}

function isSecretName(name: string): boolean {
  if (harmlessNames.has(name)) {
    return false;
  }
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .split(/[^A-Za-z0-9]+/);
  return words.some((word) => secretWords.has(word.toLowerCase()));
}
