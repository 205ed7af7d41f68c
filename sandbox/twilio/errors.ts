import type { Reply } from '../sendingEndpoint';

/** The vendor's words for the errors that the stand-in finds itself. */
const messages: Readonly<Record<number, string>> = {
  20001: 'Bad Request',
  20003: 'Authenticate',
  20004: 'Method not allowed',
  20404: 'The requested resource was not found',
  20429: 'Too many requests',
  20500: 'An internal server error has occurred',
  21211: "The 'To' number is not a valid phone number",
  21212: "The 'From' number is not a valid phone number, shortcode or sender",
  21408: "Permission to send an SMS has not been enabled for the region of the 'To' number",
  21601: "The 'From' number is not capable of sending SMS",
  21603: "A 'From' phone number or a 'MessagingServiceSid' is required",
  21604: "A 'To' phone number is required",
  21606: "The 'From' number is not a number of this account that can send messages",
  21608: 'The number is unverified; trial accounts send to verified numbers only',
  21609: "The 'StatusCallback' URL is not valid",
  21610: 'Attempt to send to unsubscribed recipient',
  21611: "This 'From' number has exceeded the maximum number of queued messages",
  21612: "The 'To' number is not reachable from this 'From' number",
  21614: "The 'To' number is not a valid mobile number",
  21617: 'The concatenated message body exceeds the 1600 character limit',
  21619: 'A text message body or media URL is required',
  21620: 'Invalid media URL',
  21623: 'Number of media files exceeds the limit',
  21635: "The 'To' number is a landline",
  21656: "The 'ContentVariables' parameter is invalid",
  21701: 'The Messaging Service does not exist',
  21910: "'From' and 'To' are of different channels",
};

const statuses: Readonly<Record<number, number>> = {
  20003: 401,
  20004: 405,
  20404: 404,
  20429: 429,
  20500: 500,
};

/** The refusal of a code, as the vendor writes one. */
export function refusal(code: number, changes: { status?: number; message?: string } = {}): Reply {
  const status = changes.status ?? statuses[code] ?? 400;
  return {
    status,
    body: {
      code,
      message: changes.message ?? messages[code] ?? `Error ${code}`,
      more_info: `https://www.twilio.com/docs/errors/${code}`,
      status,
    },
  };
}
