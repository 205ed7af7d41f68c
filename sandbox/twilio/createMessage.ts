import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Call } from '../calls';
import type { CallFault } from '../faults';
import type { Intake } from '../intake';
import { createSendingEndpoint, type Reply, type SendingEndpoint } from '../sendingEndpoint';
import { createdResource, journalBody, openMessage, VENDOR } from './acceptedMessage';
import { mayUse, type Accounts } from './accounts';
import { refusal } from './errors';
import { numberOf, readForm } from './form';

const MAX_BODY_BYTES = 256 * 1024;

/** POST …/Messages.json, answered as the vendor answers it unless a fault is switched on. */
export function createMessageEndpoint(intake: Intake, accounts: Accounts): SendingEndpoint {
  return createSendingEndpoint({
    vendor: VENDOR,
    intake,
    maxBodyBytes: MAX_BODY_BYTES,
    tooLarge: refusal(20001, { status: 413 }),
    reply: async (request, body, call, fault) =>
      refuseByFault(fault) ??
      refuseByAccount(request, accounts) ??
      (await take(request, body.toString('utf8'), call, fault)),
  });

  async function take(
    request: IncomingMessage,
    text: string,
    call: Call,
    fault: CallFault,
  ): Promise<Reply> {
    const isServerError = fault.name === 'serverError';
    const failure = refusal(20500, { status: fault.status5xx });
    if (isServerError && !fault.acceptOn5xx) {
      return failure;
    }
    if (intake.mode === 'sink') {
      const messageId = newSid('SM');
      intake.calls.accept(call, { recipients: 1, messageId, customArgs: {} });
      intake.accounting.addUnseen(1);
      return isServerError ? failure : { status: 201, body: { sid: messageId, status: 'queued' } };
    }
    const read = readForm(new URLSearchParams(text));
    if ('refused' in read) {
      return read.refused;
    }
    const { form } = read;
    call.recipients = 1;
    if (fault.rejectRecipients.has(numberOf(form.to))) {
      return refusal(21211);
    }
    const message = {
      sid: newSid(form.mediaUrls.length > 0 ? 'MM' : 'SM'),
      accountSid: accountSidOf(request),
      receivedAt: Date.parse(call.receivedAt),
      form,
    };
    const header = {
      n: call.n,
      vendor: VENDOR,
      messageId: message.sid,
      receivedAt: message.receivedAt,
      events: form.statusCallback !== null,
    };
    const body = journalBody(message.accountSid, text);
    await intake.accept(call, { header, body, open: openMessage(message) });
    return isServerError ? failure : { status: 201, body: createdResource(message) };
  }
}

/** The account in the path of a request. */
export function accountSidOf({ url = '' }: IncomingMessage): string {
  return /\/Accounts\/(AC\w+)[/.]/.exec(url)?.[1] ?? '';
}

/** 401 for everything that is not the account's own: the vendor does not tell which accounts exist. */
export function refuseByAccount(request: IncomingMessage, accounts: Accounts): Reply | null {
  const account = accounts.get(accountSidOf(request));
  return account && mayUse(account, request.headers.authorization)
    ? null
    : { ...refusal(20003), headers: { 'www-authenticate': 'Basic realm="Twilio API"' } };
}

function newSid(prefix: 'SM' | 'MM'): string {
  return prefix + randomBytes(16).toString('hex');
}

/** A refusal that a test asked for names its code as the first error's `code`. */
function refuseByFault(fault: CallFault): Reply | null {
  if (fault.name === 'refuse' && fault.refuse) {
    const { status, errors } = fault.refuse;
    const [{ message, code } = { message: 'refused', code: null }] = errors;
    return refusal(typeof code === 'number' ? code : 20001, { status, message });
  }
  if (fault.name === 'throttled') {
    const { retryAfterSeconds } = fault;
    return {
      ...refusal(20429),
      ...(retryAfterSeconds === undefined
        ? {}
        : { headers: { 'retry-after': String(retryAfterSeconds) } }),
    };
  }
  return null;
}
