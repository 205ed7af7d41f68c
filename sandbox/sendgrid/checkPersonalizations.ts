import { checkHeaders, checkSendAt, readText } from './checkFields';
import type { Problems } from './errors';
import type { Personalization } from './mail';
import { isRecord, readAddress, readAddresses, readStrings, type JsonObject } from './readFields';

const MAX_PERSONALIZATIONS = 1_000;
const MAX_RECIPIENTS = 1_000;
const MAX_SUBSTITUTION_BYTES = 10_000;
const MAX_CUSTOM_ARG_BYTES = 10_000;

/** Checks the envelopes of a request; `messageArgs` count towards the bytes of each. */
export function checkPersonalizations(
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
