import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Call } from '../calls';
import type { CallFault } from '../faults';
import type { Intake } from '../intake';
import { createSendingEndpoint, type Reply, type SendingEndpoint } from '../sendingEndpoint';
import { openMail, type Audience } from './acceptedMail';
import { checkMail } from './checkMail';
import { countRecipients } from './countRecipients';
import * as errors from './errors';
import { copiesOf, type Mail } from './mail';

const VENDOR = 'sendgrid';
const MAX_BODY_BYTES = 30 * 1024 * 1024;
const CALLS_PER_SECOND = 10_000;

interface MailSendParts {
  intake: Intake;
  audience: Audience;
  apiKeys: readonly string[] | null;
}

/** POST /v3/mail/send, answered as the vendor answers it unless a fault is switched on. */
export function createMailSend({ intake, audience, apiKeys }: MailSendParts): SendingEndpoint {
  return createSendingEndpoint({
    vendor: VENDOR,
    intake,
    maxBodyBytes: MAX_BODY_BYTES,
    tooLarge: refusal(413, errors.TOO_LARGE),
    reply: async (request, body, call, fault) =>
      refuseByFault(fault) ??
      refuseByKey(request.headers.authorization, apiKeys) ??
      (await process(request, body, call, fault)),
    headers: (reply) => rateLimitHeaders(reply.status === 429),
  });

  async function process(
    request: IncomingMessage,
    body: Buffer,
    call: Call,
    fault: CallFault,
  ): Promise<Reply> {
    const accepted = serverErrorOr(fault, { status: 202, body: null });
    const messageId = randomBytes(16).toString('base64url');
    if (accepted.status >= 500 && !fault.acceptOn5xx) {
      return accepted;
    }
    if (intake.mode === 'sink') {
      const recipients = countRecipients(body);
      intake.calls.accept(call, { recipients, messageId, customArgs: {} });
      intake.accounting.addUnseen(recipients);
      return { ...accepted, headers: { 'x-message-id': messageId } };
    }
    const read = readMail(request, body, call, fault);
    if ('status' in read) {
      return read;
    }
    const { mail, payload } = read;
    if (mail.sandboxMode) {
      return { status: 200, body: null };
    }
    const header = {
      n: call.n,
      vendor: VENDOR,
      messageId,
      receivedAt: Date.parse(call.receivedAt),
      events: intake.webhooks.reports(VENDOR),
    };
    const open = openMail(header, mail, payload, audience);
    await intake.accept(call, { header, body, open });
    return { ...accepted, headers: { 'x-message-id': messageId } };
  }
}

function readMail(
  request: IncomingMessage,
  body: Buffer,
  call: Call,
  fault: CallFault,
): Reply | { mail: Mail; payload: unknown } {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    return refusal(415, errors.WRONG_CONTENT_TYPE);
  }
  let payload: unknown;
  try {
    payload = JSON.parse(body.toString('utf8'));
  } catch {
    return refusal(400, errors.BAD_REQUEST);
  }
  const checked = checkMail(payload, Date.parse(call.receivedAt));
  if (!checked.ok) {
    return refusal(400, ...checked.errors);
  }
  const named = rejectedRecipients(checked.mail, fault.rejectRecipients);
  call.recipients = copiesOf(checked.mail).length;
  return named.length > 0 ? refusal(400, ...named) : { mail: checked.mail, payload };
}

function refuseByFault(fault: CallFault): Reply | null {
  if (fault.name === 'refuse' && fault.refuse) {
    const named = fault.refuse.errors.map((error) => ({ field: null, help: null, ...error }));
    return { status: fault.refuse.status, body: { errors: named } };
  }
  if (fault.name === 'throttled') {
    return {
      ...refusal(429, errors.TOO_MANY_REQUESTS),
      headers: throttleHeaders(fault.retryAfterSeconds),
    };
  }
  return null;
}

function throttleHeaders(retryAfterSeconds: number | undefined): Record<string, string> {
  if (retryAfterSeconds === undefined) {
    return {};
  }
  const reset = Math.ceil(Date.now() / 1_000 + retryAfterSeconds);
  return { 'retry-after': String(retryAfterSeconds), 'x-ratelimit-reset': String(reset) };
}

/** The refusal of a key that is missing or none of the account's; null when it may call. */
export function refuseByKey(
  authorization: string | undefined,
  apiKeys: readonly string[] | null,
): Reply | null {
  if (!authorization) {
    return refusal(401, errors.AUTHORIZATION_REQUIRED);
  }
  const key = /^Bearer (\S+)$/i.exec(authorization)?.[1] ?? '';
  const known = apiKeys === null ? key.startsWith('SG.') : apiKeys.includes(key);
  return known ? null : refusal(401, errors.AUTHORIZATION_INVALID);
}

function rejectedRecipients(mail: Mail, rejected: ReadonlySet<string>): errors.SendGridError[] {
  const problems = new errors.Problems();
  if (rejected.size > 0) {
    for (const [index, { to }] of mail.personalizations.entries()) {
      for (const [place, { email }] of to.entries()) {
        if (rejected.has(email.toLowerCase())) {
          problems.add(
            `personalizations.${index}.to.${place}.email`,
            'Does not contain a valid address.',
            'message.personalizations.to',
          );
        }
      }
    }
  }
  return problems.found;
}

function serverErrorOr(fault: CallFault, success: Reply): Reply {
  return fault.name === 'serverError' ? refusal(fault.status5xx, errors.INTERNAL_ERROR) : success;
}

function refusal(status: number, ...found: errors.SendGridError[]): Reply {
  return { status, body: { errors: found } };
}

function rateLimitHeaders(exhausted: boolean): Record<string, string> {
  return {
    'x-ratelimit-limit': String(CALLS_PER_SECOND),
    'x-ratelimit-remaining': exhausted ? '0' : String(CALLS_PER_SECOND - 1),
    'x-ratelimit-reset': String(Math.floor(Date.now() / 1_000) + 1),
  };
}
