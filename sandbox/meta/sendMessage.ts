import { randomBytes } from 'node:crypto';
import type { Call } from '../calls';
import type { CallFault } from '../faults';
import type { Intake } from '../intake';
import { createSendingEndpoint, type Reply, type SendingEndpoint } from '../sendingEndpoint';
import type { Numbers } from './accounts';
import { journalBody, openMessage, VENDOR } from './acceptedMessage';
import { refusal } from './errors';
import { fateOf } from './numbers';
import { numberIdOf, refuseByAccount } from './paths';
import { readMessage, type MessageRequest } from './readMessage';
import type { Templates } from './templates';
import type { Windows } from './windows';

const MAX_BODY_BYTES = 256 * 1024;

export interface MetaParts {
  intake: Intake;
  numbers: Numbers;
  templates: Templates;
  windows: Windows;
}

/** POST …/messages, answered as the vendor answers it unless a fault is switched on. */
export function createSendEndpoint(parts: MetaParts): SendingEndpoint {
  const { intake, numbers, templates, windows } = parts;
  return createSendingEndpoint({
    vendor: VENDOR,
    intake,
    maxBodyBytes: MAX_BODY_BYTES,
    tooLarge: refusal(100, { status: 413 }),
    reply: async (request, body, call, fault) =>
      refuseByFault(fault) ??
      refuseByAccount(request, numbers) ??
      (await take(numberIdOf(request), body, call, fault)),
  });

  async function take(
    phoneNumberId: string,
    body: Buffer,
    call: Call,
    fault: CallFault,
  ): Promise<Reply> {
    const isServerError = fault.name === 'serverError';
    const failure = refusal(fault.status5xx === 503 ? 2 : 131000, { status: fault.status5xx });
    if (isServerError && !fault.acceptOn5xx) {
      return failure;
    }
    const id = newId();
    if (intake.mode === 'sink') {
      intake.calls.accept(call, { recipients: 1, messageId: id, customArgs: {} });
      intake.accounting.addUnseen(1);
      return isServerError ? failure : accepted(id, '');
    }
    const read = readMessage(body);
    if ('refused' in read) {
      return read.refused;
    }
    const { message } = read;
    call.recipients = 1;
    const text = refuseByContent(message, phoneNumberId, fault);
    if (typeof text !== 'string') {
      return text;
    }
    const receivedAt = Date.parse(call.receivedAt);
    const webhookUrl = numbers.webhookOf(phoneNumberId);
    const windowOpen = windows.isOpen(phoneNumberId, message.to, receivedAt);
    const circumstances = { phoneNumberId, text, webhookUrl, windowOpen };
    await intake.accept(call, {
      header: { n: call.n, vendor: VENDOR, messageId: id, receivedAt, events: webhookUrl !== null },
      body: journalBody(circumstances, body),
      open: openMessage({ ...circumstances, id, receivedAt, request: message }),
    });
    return isServerError ? failure : accepted(id, message.to);
  }

  /** What the customer reads, or why they do not get it. */
  function refuseByContent(
    { to, content }: MessageRequest,
    phoneNumberId: string,
    fault: CallFault,
  ): string | Reply {
    if (fault.rejectRecipients.has(`+${to}`)) {
      return refusal(131026);
    }
    if (numbers.get(phoneNumberId)?.displayPhoneNumber === to) {
      return refusal(131021);
    }
    const fate = fateOf(to);
    if (fate.kind === 'refused') {
      return refusal(fate.code);
    }
    switch (content.type) {
      case 'text':
        return content.body;
      case 'template': {
        const filled = templates.fill(content.name, content.language, content.variables);
        return typeof filled === 'number' ? refusal(filled) : filled.text;
      }
      case 'image':
      case 'video':
      case 'audio':
      case 'document':
        return content.caption ?? '';
    }
  }
}

function accepted(id: string, to: string): Reply {
  return {
    status: 200,
    body: {
      messaging_product: 'whatsapp',
      contacts: [{ input: `+${to}`, wa_id: to }],
      messages: [{ id }],
    },
  };
}

/** The id of a message, as the vendor's look: text as Base64, which has no slash for that reason. */
export function newId(): string {
  const text = randomBytes(16).toString('hex').toUpperCase();
  return `wamid.${Buffer.from(text).toString('base64')}`;
}

/** A refusal that a test asked for names its code as the first error's `code`. */
function refuseByFault(fault: CallFault): Reply | null {
  if (fault.name === 'refuse' && fault.refuse) {
    const { status, errors } = fault.refuse;
    const [{ message, code } = { message: 'refused', code: null }] = errors;
    return refusal(typeof code === 'number' ? code : 100, { status, message });
  }
  if (fault.name === 'throttled') {
    const { retryAfterSeconds } = fault;
    return {
      ...refusal(130429),
      ...(retryAfterSeconds === undefined
        ? {}
        : { headers: { 'retry-after': String(retryAfterSeconds) } }),
    };
  }
  return null;
}
