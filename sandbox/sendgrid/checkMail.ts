import { checkAttachments, checkContent } from './checkContent';
import { checkHeaders, checkSendAt, isAscii, readText } from './checkFields';
import { checkPersonalizations } from './checkPersonalizations';
import { Problems, type SendGridError } from './errors';
import type { Mail, MailAddress } from './mail';
import { isRecord, readAddress, readAddresses, readStrings, type JsonObject } from './readFields';

const MAX_REPLY_ADDRESSES = 1_000;

const MAX_CATEGORIES = 10;
const MAX_CATEGORY_LENGTH = 255;
const MAX_GROUPS_TO_DISPLAY = 25;

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
    if (listed.length > MAX_REPLY_ADDRESSES) {
      problems.add(
        'reply_to_list',
        `The reply_to_list is limited to ${MAX_REPLY_ADDRESSES} addresses.`,
      );
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

function isEnabled(settings: unknown, name: string, byDefault: boolean): boolean {
  const setting = isRecord(settings) ? settings[name] : undefined;
  return isRecord(setting) && typeof setting.enable === 'boolean' ? setting.enable : byDefault;
}
