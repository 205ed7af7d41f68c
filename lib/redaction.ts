/** What stands in a log in the place of what nobody may read there. */
export const redacted = '[redacted]';

const maxDepth = 6;
const maxItems = 100;
const maxTextLength = 2_000;
const maxFrames = 12;

// What opens something, and who somebody is, by the name of the field it stands in.
const hiddenNames =
  /(password|passphrase|secret|token|credential|authorization|cookie|api_?key|signature|seed|otp|recovery|bindings|parameters)/i;
const personalNames = new Set([
  'email',
  'phone',
  'firstName',
  'lastName',
  'first_name',
  'last_name',
  'body',
  'html',
  'text',
  'subject',
]);
// They name or count what they speak of, and do not open it.
const harmlessNames = /(Id|Ids|_id|Count|Kind|Name|At|Ms)$/;

const forms: readonly (readonly [RegExp, string])[] = [
  // Our API keys, JWTs, keys of vendors.
  [/\bck_[\w-]{8,}/g, redacted],
  [/\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, redacted],
  [/\bSG\.[\w.-]{8,}/g, redacted],
  [/\bsk[-_][\w-]{8,}/g, redacted],
  [/-----BEGIN [A-Z ]+-----[\s\S]*?(-----END [A-Z ]+-----|$)/g, redacted],
  [/\b(bearer|basic) +[\w.~+/=-]{8,}/gi, `$1 ${redacted}`],
  // A password before the host, the query and the fragment of an address, tokens in its path.
  [/(\b[a-z][a-z+.-]{0,20}:\/\/)[^/\s@]+@/gi, `$1${redacted}@`],
  [/(\b[a-z][a-z+.-]{0,20}:\/\/[^\s?#"'<>]*)[?#][^\s"'<>]*/gi, `$1?${redacted}`],
  [/(\/[\w./:-]*)\?[^\s"'<>]*=[^\s"'<>]*/g, `$1?${redacted}`],
  [/(\/t\/[a-z]\/)[^/\s?#"'<>]+/g, `$1${redacted}`],
  // Addresses of people: mail, also as part of a URL, and numbers in E.164.
  [/[^\s"'<>(),:;=[\]]{1,64}(@|%40)[\p{L}\p{N}.-]+\.[\p{L}\p{N}-]{2,}/gu, redacted],
  [/(?<![\w.-])(\+|%2B|whatsapp:\+?)\d{7,15}\b/gi, redacted],
  // Random texts: a digit, a small and a large letter in at least 32 characters without a break.
  [/(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{32,}={0,2}/g, redacted],
];

/** The text without what opens anything and without addresses of people; long ones are cut. */
export function redactText(text: string): string {
  // What lies beyond is thrown away anyway, so it need not be looked through.
  // Half a token would not be known for one.
  let cut =
    text.length > maxTextLength ? `${text.slice(0, maxTextLength).replace(/\S*$/, '')}…` : text;
  for (const [form, by] of forms) {
    cut = cut.replace(form, by);
  }
  return cut;
}

/** The fields of a log line as they may be written. */
export function redactFields(fields: object): Record<string, unknown> {
  return redactObject(fields, 0);
}

/**
 * What a log tells of an error: its kind, its code, its words and its frames, and the same of its
 * causes. Whatever else hangs on it may hold what the caller sent: Postgres quotes whole rows in
 * `detail`, HTTP clients keep the request with its headers.
 */
export function redactError(error: Error, depth = 0): Record<string, unknown> {
  // Objection wraps what the driver threw and repeats its words.
  const native: unknown = Reflect.get(error, 'nativeError');
  if (native instanceof Error && depth < maxDepth) {
    return { ...redactError(native, depth + 1), type: error.name, stack: framesOf(error) };
  }
  const told: Record<string, unknown> = {
    type: error.name,
    message: redactText(isOfDatabase(error) ? withoutValues(error.message) : error.message),
  };
  for (const name of ['code', 'status', 'statusCode', 'severity', 'schema', 'table', 'column']) {
    copyPlain(error, name, told);
  }
  for (const name of ['constraint', 'dataType', 'routine', 'syscall', 'errno', 'kind']) {
    copyPlain(error, name, told);
  }
  told['stack'] = framesOf(error);
  if (depth < maxDepth) {
    if (error.cause instanceof Error) {
      told['cause'] = redactError(error.cause, depth + 1);
    }
    if (error instanceof AggregateError) {
      told['errors'] = error.errors
        .slice(0, 5)
        .map((one: unknown) => (one instanceof Error ? redactError(one, depth + 1) : redacted));
    }
  }
  return told;
}

function redactObject(value: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, maxItems)
      .map(([name, field]) => [name, isHidden(name, field) ? redacted : redact(field, depth + 1)]),
  );
}

function redact(value: unknown, depth: number): unknown {
  if (typeof value === 'string') {
    return redactText(value);
  }
  if (value instanceof Error) {
    return redactError(value);
  }
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'bigint' ? String(value) : value;
  }
  if (value instanceof Date) {
    return value;
  }
  if (depth > maxDepth || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return redacted;
  }
  return Array.isArray(value)
    ? value.slice(0, maxItems).map((item: unknown) => redact(item, depth + 1))
    : redactObject(value, depth);
}

function isHidden(name: string, value: unknown): boolean {
  if (value === null || value === undefined || typeof value === 'boolean') {
    return false;
  }
  return (
    personalNames.has(name) ||
    (typeof value !== 'number' && hiddenNames.test(name) && !harmlessNames.test(name))
  );
}

function isOfDatabase(error: Error): boolean {
  const code: unknown = Reflect.get(error, 'code');
  const isSqlState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code);
  return isSqlState || Reflect.has(error, 'severity');
}

// Knex writes the statement before what Postgres says of it. A statement has places for its values;
// Postgres quotes the values themselves, as it quotes names of ours, which are kept.
function withoutValues(message: string): string {
  const end = message.lastIndexOf(' - ');
  const statement = end === -1 ? '' : `${message.slice(0, Math.min(end, 300))} - `;
  const said = message
    .slice(end === -1 ? 0 : end + 3)
    .replace(/: ".*$/s, `: ${redacted}`)
    .replace(/(\b\w+ )?"[^"]*"/g, (quoted: string, before = '') =>
      namedThings.has(before.trim()) ? quoted : `${before}${redacted}`,
    );
  return statement + said;
}

const namedThings = new Set([
  'column',
  'constraint',
  'database',
  'function',
  'index',
  'policy',
  'relation',
  'role',
  'schema',
  'sequence',
  'table',
  'type',
  'user',
]);

function copyPlain(error: Error, name: string, to: Record<string, unknown>): void {
  const value: unknown = Reflect.get(error, name);
  if (typeof value === 'string' || typeof value === 'number') {
    to[name] = typeof value === 'string' ? redactText(value) : value;
  }
}

// The first lines of a stack repeat the message, however many lines that has.
function framesOf({ stack = '' }: Error): string {
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  return frames.slice(0, maxFrames).join('\n');
}
