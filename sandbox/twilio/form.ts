import { refusal } from './errors';
import { fateOf, senderError } from './numbers';
import type { Reply } from '../sendingEndpoint';

/** A request to create a message, understood. */
export interface MessageForm {
  /** As given: E.164, with `whatsapp:` before it on that channel. */
  to: string;
  from: string | null;
  messagingServiceSid: string | null;
  body: string;
  mediaUrls: string[];
  contentSid: string | null;
  contentVariables: Record<string, string>;
  statusCallback: string | null;
}

const MAX_BODY_CHARACTERS = 1_600;
const MAX_MEDIA = 10;
const MAX_VALIDITY_S = 36_000;

/** Checks the fields in the vendor's order; the first that is wrong is what the answer names. */
export function readForm(fields: URLSearchParams): { form: MessageForm } | { refused: Reply } {
  const form: MessageForm = {
    to: fields.get('To') ?? '',
    from: fields.get('From'),
    messagingServiceSid: fields.get('MessagingServiceSid'),
    body: fields.get('Body') ?? '',
    mediaUrls: fields.getAll('MediaUrl'),
    contentSid: fields.get('ContentSid'),
    contentVariables: {},
    statusCallback: fields.get('StatusCallback'),
  };
  const variables = readVariables(fields.get('ContentVariables'));
  const code = problemOf(form, fields) ?? (variables === null ? 21656 : null);
  return code === null && variables !== null
    ? { form: { ...form, contentVariables: variables } }
    : { refused: refusal(code ?? 20001) };
}

/** The number of an address, without its channel. */
export function numberOf(address: string): string {
  return address.replace(/^whatsapp:/, '');
}

export function isWhatsApp(address: string): boolean {
  return address.startsWith('whatsapp:');
}

function problemOf(form: MessageForm, fields: URLSearchParams): number | null {
  const { to, from, messagingServiceSid, body, mediaUrls, contentSid, statusCallback } = form;
  if (to === '') {
    return 21604;
  }
  if (from === null && messagingServiceSid === null) {
    return 21603;
  }
  if (from !== null && (!isSender(from) || from === '')) {
    return 21212;
  }
  if (messagingServiceSid !== null && !/^MG[\da-f]{32}$/i.test(messagingServiceSid)) {
    return 21701;
  }
  if (from !== null && isWhatsApp(from) !== isWhatsApp(to)) {
    return 21910;
  }
  if (!/^\+[1-9]\d{6,14}$/.test(numberOf(to))) {
    return 21211;
  }
  if (body === '' && mediaUrls.length === 0 && contentSid === null) {
    return 21619;
  }
  if (Array.from(body).length > MAX_BODY_CHARACTERS) {
    return 21617;
  }
  if (mediaUrls.length > MAX_MEDIA) {
    return 21623;
  }
  if (!mediaUrls.every(isWebAddress)) {
    return 21620;
  }
  if (statusCallback !== null && !isCallbackAddress(statusCallback)) {
    return 21609;
  }
  if (contentSid !== null && !/^HX[\da-f]{32}$/i.test(contentSid)) {
    return 20001;
  }
  const validity = fields.get('ValidityPeriod');
  if (validity !== null && !isWithin(Number(validity), 1, MAX_VALIDITY_S)) {
    return 20001;
  }
  const wrongSender = from === null ? null : senderError(numberOf(from));
  const fate = fateOf(numberOf(to));
  return wrongSender ?? (fate.kind === 'refused' ? fate.code : null);
}

// A number, a short code, or up to eleven letters and digits.
function isSender(from: string): boolean {
  return isWhatsApp(from)
    ? /^\+[1-9]\d{6,14}$/.test(numberOf(from))
    : /^\+[1-9]\d{6,14}$|^\d{3,8}$|^(?=.*[a-z])[\w &+-]{1,11}$/i.test(from);
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

// The vendor calls no host with an underscore in its name.
function isCallbackAddress(text: string): boolean {
  return isWebAddress(text) && !new URL(text).hostname.includes('_');
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

function readVariables(text: string | null): Record<string, string> | null {
  if (text === null || text === '') {
    return {};
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, String(item)]))
      : null;
  } catch {
    return null;
  }
}
