import { Problems, type SendGridError } from './errors';
import type { Mail, MailAddress, Personalization } from './mail';
import { isRecord, readAddress, readAddresses, readStrings, type JsonObject } from './readFields';

const MAX_PERSONALIZATIONS = 1_000;
const MAX_RECIPIENTS = 1_000;
const MAX_SUBSTITUTION_BYTES = 10_000;
const MAX_CUSTOM_ARG_BYTES = 10_000;
const MAX_CATEGORIES = 10;
const MAX_CATEGORY_LENGTH = 255;
const MAX_SCHEDULE_SECONDS = 72 * 3_600;
const MAX_GROUPS_TO_DISPLAY = 25;
const FORBIDDEN_HEADERS = new Set([
  'x-sg-id',
  'x-sg-eid',
  'received',
  'dkim-signature',
  'content-type',
  'content-transfer-encoding',
  'to',
  'from',
  'subject',
  'reply-to',
  'cc',
  'bcc',
]);

export type CheckedMail = { ok: true; mail: Mail } | { ok: false; errors: SendGridError[] };

/** Checks a request's JSON as the vendor does; `now` (ms) is what scheduled times are measured from. */
export function checkMail(payload: unknown, now: number): CheckedMail {
  const problems = new Problems();
  if (!isRecord(payload)) {
    problems.add('', 'The request body must be a JSON object.');
    return { ok: false, errors: problems.found };
  }
  const customArgs = readStrings(payload.custom_args, 'custom_args', problems);
  const mail: Mail = {
    personalizations: checkPersonalizations(payload, customArgs, now, problems),
    from: checkFrom(payload.from, problems),
    replyTo: checkReplyTo(payload, problems),
    subject: readText(payload.subject, 'subject', problems),
    content: checkContent(payload, problems),
    attachments: checkAttachments(payload.attachments, problems),
    headers: checkHeaders(payload.headers, 'headers', problems),
    customArgs,
    categories: checkCategories(payload.categories, problems),
    sandboxMode: isEnabled(payload.mail_settings, 'sandbox_mode', false),
    tracking: {
      // A new account tracks opens and clicks unless the request says otherwise.
      opens: isEnabled(payload.tracking_settings, 'open_tracking', true),
      clicks: isEnabled(payload.tracking_settings, 'click_tracking', true),
      unsubscribes: isEnabled(payload.tracking_settings, 'subscription_tracking', false),
    },
  };
  checkSubjects(mail, problems);
  checkSendAt(payload.send_at, 'send_at', now, problems);
  checkUnsubscribeGroup(payload.asm, problems);
  checkTemplate(payload.template_id, problems);
  return problems.found.length > 0 ? { ok: false, errors: problems.found } : { ok: true, mail };
}

function checkPersonalizations(
  payload: JsonObject,
  messageArgs: Record<string, string>,
  now: number,
  problems: Problems,
): Personalization[] {
  const given = payload.personalizations;
  if (!Array.isArray(given) || given.length === 0) {
    problems.add(
      'personalizations',
      'The personalizations field is required and must have at least one personalization.',
      '-Personalizations-Errors',
    );
    return [];
  }
  if (given.length > MAX_PERSONALIZATIONS) {
    problems.add(
      'personalizations',
      `The personalization block is limited to ${MAX_PERSONALIZATIONS} personalizations per API request. You have provided ${given.length} personalizations. Please consider splitting this into multiple requests and resending your request.`,
      'message.personalizations',
    );
    return [];
  }
  const personalizations = given.map((item: unknown, index) =>
    checkPersonalization(item, `personalizations.${index}`, { messageArgs, now }, problems),
  );
  checkRecipients(personalizations, problems);
  return personalizations;
}

function checkPersonalization(
  item: unknown,
  field: string,
  context: { messageArgs: Record<string, string>; now: number },
  problems: Problems,
): Personalization {
  const given = isRecord(item) ? item : {};
  const personalization: Personalization = {
    to: readAddresses(given.to, `${field}.to`, problems),
    cc: readAddresses(given.cc, `${field}.cc`, problems),
    bcc: readAddresses(given.bcc, `${field}.bcc`, problems),
    from: given.from === undefined ? null : readAddress(given.from, `${field}.from`, problems),
    subject: readText(given.subject, `${field}.subject`, problems),
    headers: checkHeaders(given.headers, `${field}.headers`, problems),
    substitutions: readStrings(given.substitutions, `${field}.substitutions`, problems),
    customArgs: readStrings(given.custom_args, `${field}.custom_args`, problems),
  };
  if (personalization.to.length === 0) {
    problems.add(
      `${field}.to`,
      'The to array is required for all personalization objects, and must have at least one email object with a valid email address.',
      'message.personalizations.to',
    );
  }
  if (weighsMore(MAX_SUBSTITUTION_BYTES, personalization.substitutions)) {
    problems.add(
      `${field}.substitutions`,
      `The substitutions of one personalization may not exceed ${MAX_SUBSTITUTION_BYTES} bytes.`,
      'message.personalizations.substitutions',
    );
  }
  if (weighsMore(MAX_CUSTOM_ARG_BYTES - 1, context.messageArgs, personalization.customArgs)) {
    problems.add(
      `${field}.custom_args`,
      `The custom_args of one personalization, with those of the message, must be less than ${MAX_CUSTOM_ARG_BYTES} bytes.`,
      'message.personalizations.custom_args',
    );
  }
  checkSendAt(given.send_at, `${field}.send_at`, context.now, problems);
  return personalization;
}

function checkRecipients(personalizations: Personalization[], problems: Problems): void {
  const seen = new Set<string>();
  let recipients = 0;
  for (const [index, personalization] of personalizations.entries()) {
    const lists = { to: personalization.to, cc: personalization.cc, bcc: personalization.bcc };
    for (const [list, addresses] of Object.entries(lists)) {
      recipients += addresses.length;
      for (const { email } of addresses) {
        const key = email.toLowerCase();
        if (seen.has(key)) {
          problems.add(
            `personalizations.${index}`,
            `Each email address in the personalization block should be unique between to, cc, and bcc. We found the first duplicate instance of [${email}] in the personalizations.${index}.${list} field.`,
            'message.recipient-errors',
          );
        }
        seen.add(key);
      }
    }
  }
  if (recipients > MAX_RECIPIENTS) {
    problems.add(
      'personalizations',
      `There is a limit of ${MAX_RECIPIENTS} total recipients (to + cc + bcc) per request.`,
      'message.personalizations',
    );
  }
}

function checkFrom(from: unknown, problems: Problems): MailAddress {
  if (!isRecord(from) || typeof from.email !== 'string' || from.email === '') {
    problems.add(
      'from.email',
      'The from object must be provided for every email send. It is an object that requires the email parameter, but may also contain a name parameter.  e.g. {"email" : "example@example.com"}  or {"email" : "example@example.com", "name" : "Example Recipient"}.',
      'message.from',
    );
    return { email: '', name: null };
  }
  if (!isAscii(from.email)) {
    problems.add(
      'from.email',
      'The from email may not contain Unicode characters.',
      'message.from',
    );
  }
  return readAddress(from, 'from', problems, 'The from email does not contain a valid address.');
}

function checkReplyTo(payload: JsonObject, problems: Problems): MailAddress | null {
  const listed = payload.reply_to_list;
  if (Array.isArray(listed)) {
    if (payload.reply_to !== undefined) {
      problems.add('reply_to_list', 'Use either reply_to or reply_to_list, not both.');
    }
    if (listed.length > MAX_RECIPIENTS) {
      problems.add('reply_to_list', `The reply_to_list is limited to ${MAX_RECIPIENTS} addresses.`);
    }
    return readAddresses(listed, 'reply_to_list', problems)[0] ?? null;
  }
  return payload.reply_to === undefined
    ? null
    : readAddress(
        payload.reply_to,
        'reply_to',
        problems,
        'The reply_to email does not contain a valid address.',
      );
}

function checkSubjects(mail: Mail, problems: Problems): void {
  const covered =
    mail.personalizations.length > 0 &&
    mail.personalizations.every((personalization) => Boolean(personalization.subject));
  if (!mail.subject && !covered) {
    problems.add(
      'subject',
      'The subject is required. You can get around this requirement if you use a template with a subject defined or if every personalization has a subject defined.',
      'message.subject',
    );
  }
}

function checkContent(payload: JsonObject, problems: Problems): Mail['content'] {
  const given = payload.content;
  if (!Array.isArray(given) || given.length === 0) {
    problems.add(
      'content',
      'Unless a valid template_id is provided, the content parameter is required. There must be at least one defined content block. We typically suggest both text/plain and text/html blocks are included, but only one block is required.',
      'message.content',
    );
    return [];
  }
  const content = given.map((item: unknown, index) => {
    const { type, value } = isRecord(item) ? item : {};
    if (typeof type !== 'string' || !type.includes('/') || /[\r\n;,]/.test(type)) {
      problems.add(
        `content.${index}.type`,
        'The content type must be a valid MIME type without semicolons or line ends.',
        'message.content.type',
      );
    }
    if (typeof value !== 'string' || value.length === 0) {
      problems.add(
        `content.${index}.value`,
        'The content value must be a string at least one character in length.',
        'message.content.value',
      );
    }
    return {
      type: typeof type === 'string' ? type.toLowerCase() : '',
      value: typeof value === 'string' ? value : '',
    };
  });
  checkContentOrder(content, problems);
  return content;
}

function checkContentOrder(content: Mail['content'], problems: Problems): void {
  const types = content.map(({ type }) => type);
  const plain = types.filter((type) => type === 'text/plain');
  const html = types.filter((type) => type === 'text/html');
  if (plain.length > 1 || html.length > 1) {
    problems.add('content', 'If present, text/plain and text/html may only be provided once.');
    return;
  }
  const expected = [
    ...plain,
    ...html,
    ...types.filter((type) => type !== 'text/plain' && type !== 'text/html'),
  ];
  if (expected.some((type, index) => type !== types[index])) {
    problems.add(
      'content',
      'If present, text/plain must be first, followed by text/html, followed by any other content.',
      'message.content',
    );
  }
}

function checkAttachments(attachments: unknown, problems: Problems): Mail['attachments'] {
  if (attachments === undefined) {
    return [];
  }
  if (!Array.isArray(attachments)) {
    problems.add('attachments', 'The attachments must be an array.', 'message.attachments');
    return [];
  }
  return attachments.map((item: unknown, index) => {
    const { content, filename, type } = isRecord(item) ? item : {};
    if (typeof content !== 'string' || !/^[A-Za-z0-9+/\r\n]+={0,2}\s*$/.test(content)) {
      problems.add(
        `attachments.${index}.content`,
        'The attachment content must be base64 encoded.',
        'message.attachments.content',
      );
    }
    if (typeof filename !== 'string' || filename === '') {
      problems.add(
        `attachments.${index}.filename`,
        'The attachment filename is required.',
        'message.attachments.filename',
      );
    }
    return {
      filename: typeof filename === 'string' ? filename : '',
      type: typeof type === 'string' ? type : 'application/octet-stream',
      content: typeof content === 'string' ? content : '',
    };
  });
}

function checkHeaders(headers: unknown, field: string, problems: Problems): Record<string, string> {
  const read = readStrings(headers, field, problems);
  for (const [name, value] of Object.entries(read)) {
    if (FORBIDDEN_HEADERS.has(name.toLowerCase())) {
      problems.add(
        `${field}.${name}`,
        `The header ${name} is reserved and cannot be set.`,
        'message.headers',
      );
    }
    if (!/^[!-9;-~]+$/.test(name) || /[\r\n]/.test(value) || !isAscii(value)) {
      problems.add(
        `${field}.${name}`,
        'Header names and values must be ASCII and without line ends.',
        'message.headers',
      );
    }
  }
  return read;
}

function checkCategories(categories: unknown, problems: Problems): string[] {
  if (categories === undefined) {
    return [];
  }
  const texts = Array.isArray(categories)
    ? categories.filter((category: unknown) => typeof category === 'string')
    : [];
  if (!Array.isArray(categories) || texts.length !== categories.length) {
    problems.add('categories', 'The categories must be an array of strings.', 'message.categories');
  }
  if (texts.length > MAX_CATEGORIES) {
    problems.add(
      'categories',
      `A message may have at most ${MAX_CATEGORIES} categories.`,
      'message.categories',
    );
  }
  if (new Set(texts).size < texts.length) {
    problems.add('categories', 'The categories must be unique.', 'message.categories');
  }
  if (texts.some((category) => category.length > MAX_CATEGORY_LENGTH)) {
    problems.add(
      'categories',
      `A category may have at most ${MAX_CATEGORY_LENGTH} characters.`,
      'message.categories',
    );
  }
  return texts;
}

function checkSendAt(sendAt: unknown, field: string, now: number, problems: Problems): void {
  if (sendAt === undefined) {
    return;
  }
  if (typeof sendAt !== 'number' || !Number.isInteger(sendAt)) {
    problems.add(field, 'The send_at parameter must be a Unix timestamp.', 'message.send_at');
    return;
  }
  if (sendAt > now / 1_000 + MAX_SCHEDULE_SECONDS) {
    problems.add(
      field,
      'The send_at parameter may not be more than 72 hours in the future.',
      'message.send_at',
    );
  }
}

function checkUnsubscribeGroup(asm: unknown, problems: Problems): void {
  if (asm === undefined) {
    return;
  }
  const { group_id: groupId, groups_to_display: groups } = isRecord(asm) ? asm : {};
  if (!Number.isInteger(groupId)) {
    problems.add('asm.group_id', 'The asm group_id must be an integer.', 'message.asm');
  }
  if (groups !== undefined && (!Array.isArray(groups) || groups.length > MAX_GROUPS_TO_DISPLAY)) {
    problems.add(
      'asm.groups_to_display',
      `At most ${MAX_GROUPS_TO_DISPLAY} groups can be displayed.`,
      'message.asm',
    );
  }
}

function checkTemplate(templateId: unknown, problems: Problems): void {
  if (templateId !== undefined && templateId !== null) {
    // Templates live in an account, and this one has none.
    problems.add('template_id', 'The template_id does not name a template of this account.');
  }
}

function readText(value: unknown, field: string, problems: Problems): string | null {
  if (value === undefined || value === null) {
    return null;
  }
  if (typeof value !== 'string') {
    problems.add(field, 'The subject must be a string.', 'message.subject');
    return null;
  }
  return value;
}

function isEnabled(settings: unknown, name: string, byDefault: boolean): boolean {
  const setting = isRecord(settings) ? settings[name] : undefined;
  return isRecord(setting) && typeof setting.enable === 'boolean' ? setting.enable : byDefault;
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e\t]*$/.test(text);
}

// Whether texts weigh more as JSON. Most are far below the limit, so an upper bound (6 bytes a
// character once escaped) spares the encoding.
function weighsMore(limit: number, ...texts: Record<string, string>[]): boolean {
  let bound = 0;
  for (const object of texts) {
    for (const key in object) {
      bound += (key.length + (object[key]?.length ?? 0) + 1) * 6;
    }
  }
  return (
    bound > limit - 10 &&
    texts.reduce((sum, object) => sum + Buffer.byteLength(JSON.stringify(object)), 0) > limit
  );
}
